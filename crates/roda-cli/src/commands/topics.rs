//! `roda topics`: which topics there are.

use super::App;
use crate::api::types::TopicReply;
use crate::error::Result;
use crate::output::escaped;

pub(super) async fn run(app: &App) -> Result<()> {
    let topics: Vec<TopicReply> = app.connect().await?.get("/v1/topics").await?;
    for topic in &topics {
        if app.ui.json {
            app.ui.object(topic)?;
        } else {
            app.ui.line(&format!(
                "{:>10}  {}  {}",
                topic.messages,
                topic.last,
                escaped(&topic.topic)
            ))?;
        }
    }
    Ok(())
}
