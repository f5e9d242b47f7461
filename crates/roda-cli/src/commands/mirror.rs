//! `roda mirror`: keeps a file that is the same bytes on every member.

use roda::Topic;
use serde_json::{Value, json};

use super::App;
use crate::api::client::encoded;
use crate::api::types::{MirrorReply, MirrorRequest};
use crate::cli::MirrorArgs;
use crate::error::{Failure, Result};
use crate::output::escaped;

pub(super) async fn run(app: &App, args: &MirrorArgs) -> Result<()> {
    let (Some(topic), Some(file)) = (&args.topic, &args.file) else {
        return list(app).await;
    };
    Topic::new(topic)?;
    let path = std::path::absolute(file).map_err(|error| Failure::file(file, &error))?;
    // JSON carries text only, and a path that is shown wrongly would be a trap.
    let Some(path) = path.to_str() else {
        return Err(Failure::new("usage-utf8"));
    };
    let mut client = app.connect().await?;
    if args.stop {
        let query = format!("/v1/mirrors?path={}", encoded(path));
        let _empty: Value = client.delete(&query).await?;
    } else {
        let wish = MirrorRequest {
            topic: topic.clone(),
            path: path.to_owned(),
        };
        let _empty: Value = client.post("/v1/mirrors", &wish).await?;
    }
    if app.ui.json {
        return app
            .ui
            .object(&json!({"topic": topic, "path": path, "mirrored": !args.stop}));
    }
    let values = [("topic", topic.as_str().into()), ("path", path.into())];
    let key = if args.stop {
        "mirror-stopped"
    } else {
        "mirror-done"
    };
    app.ui.line(&app.ui.text(key, &values))
}

async fn list(app: &App) -> Result<()> {
    let mirrors: Vec<MirrorReply> = app.connect().await?.get("/v1/mirrors").await?;
    for mirror in &mirrors {
        if app.ui.json {
            app.ui.object(mirror)?;
            continue;
        }
        let values = [
            ("topic", escaped(&mirror.topic).into_owned().into()),
            ("path", escaped(&mirror.path).into_owned().into()),
            ("messages", mirror.messages.into()),
            ("waiting", mirror.waiting.into()),
        ];
        app.ui.line(&app.ui.text("mirror-line", &values))?;
        if let Some(error) = &mirror.error {
            let values = [("reason", escaped(error).into_owned().into())];
            app.ui.line(&app.ui.text("mirror-fault", &values))?;
        }
    }
    Ok(())
}
