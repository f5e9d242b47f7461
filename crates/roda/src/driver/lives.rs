//! What becomes of writes, and how the engine starts anew from what is on disk.

use std::collections::BTreeMap;

use roda_proto::{Engine, Incarnation, Input, Seed, Snapshot};

use super::Driver;
use crate::error::Error;
use crate::random;
use crate::writer::Written;

impl Driver {
    pub(super) fn on_written(&mut self, written: Written) {
        match written {
            Written::Durable(ids) => {
                for id in ids {
                    self.input(Input::Persisted(id));
                }
            }
            Written::Failed(error) => {
                let error = Error::store(&self.home, error);
                self.problems.insert("store".to_owned(), error.to_string());
                self.fail_answers(&error);
                self.failure = Some(error);
                self.members_changed = true;
                self.writer.reopen();
            }
            Written::Reopened(snapshot) => self.restart(*snapshot),
        }
    }

    pub(super) fn fail_answers(&mut self, error: &Error) {
        for (_, answer) in std::mem::take(&mut self.answers) {
            // Whoever asked may have given up.
            let _gone = answer.send(Err(error.clone()));
        }
    }

    /// Starts the engine again from what is on disk.
    fn restart(&mut self, snapshot: Snapshot) {
        let Ok(seed) = random::bytes() else {
            self.is_stopping = true;
            return;
        };
        let engine = Engine::new(self.config.clone(), Seed(seed), snapshot, self.now());
        let old = std::mem::replace(&mut self.engine, engine);
        if std::mem::take(&mut self.is_reincarnating) {
            let kept = self.engine.inherit(old);
            let lost = std::mem::take(&mut self.answers);
            let (kept, lost): (BTreeMap<_, _>, BTreeMap<_, _>) = lost
                .into_iter()
                .partition(|(command, _)| kept.contains(command));
            self.answers = lost;
            self.fail_answers(&Error::Store(
                "interrupted; look whether it was done".to_owned(),
            ));
            self.answers = kept;
        }
        self.failure = None;
        self.problems.remove("store");
        self.want_copies();
        self.publish_head();
        self.look_again();
        if let Some(catch_up) = self.catch_up.take() {
            catch_up.task.abort();
        }
        self.members_changed = true;
        self.input(Input::Timeout);
    }

    /// Peers have more of this author than the database: what it was is over, begin anew.
    pub(super) fn reincarnate(&mut self) {
        if self.failure.is_some() || self.is_reincarnating {
            return;
        }
        tracing::warn!(
            "peers know more of this node than its database: starting a new incarnation"
        );
        let text = "the database had forgotten entries; they come back from the peers";
        self.problems.insert("amnesia".to_owned(), text.to_owned());
        let Ok(incarnation) = random::bytes().map(Incarnation) else {
            return;
        };
        self.is_reincarnating = true;
        self.writer
            .run(move |store| store.set_incarnation(incarnation));
        self.writer.reopen();
    }
}
