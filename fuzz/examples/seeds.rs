//! Writes the seeds into the corpus, after a change of the wire format.

use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    for target in roda_fuzz::TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target.name);
        fs::create_dir_all(&directory)?;
        for (name, seed) in (target.seeds)() {
            fs::write(directory.join(format!("seed-{name}")), seed)?;
        }
    }
    Ok(())
}
