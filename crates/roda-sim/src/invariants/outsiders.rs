//! I2: nothing from outside the group, and no replay, changes any state.
//!
//! Protects the group from whoever can send datagrams to it. An outsider may make a node look for a
//! member (a datagram under an unknown key can mean that this node slept through a key change), so a
//! catch-up is no effect; neither is an offer, which amplification bounds.

use super::{Check, Violation};

/// Where an input came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A node, a disk, the clock or the application.
    World,
    /// The adversary: made up or changed, so it must be refused if it claims to be sealed.
    Forged,
    /// The adversary: a copy of what this node has already accepted in this run.
    Replayed,
    /// The adversary: a copy of what this node has not seen, which is only a late delivery.
    Delayed,
}

/// What an input caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Writes asked for.
    pub persists: usize,
    /// Events, catch-ups excepted.
    pub events: usize,
    /// Sealed datagrams sent.
    pub sealed: usize,
}

/// Judges the effects of hostile inputs.
#[derive(Default)]
pub struct Outsiders {
    refused: u64,
}

impl Outsiders {
    /// An input of `origin` was taken or refused, and caused `effects`.
    ///
    /// # Errors
    /// A hostile input had an effect.
    pub fn on_input(
        &mut self,
        node: usize,
        origin: Origin,
        claims_seal: bool,
        refused: bool,
        effects: Effects,
    ) -> Check {
        let hostile = matches!(origin, Origin::Forged | Origin::Replayed);
        if !hostile {
            return Ok(());
        }
        self.refused += u64::from(refused);
        if origin == Origin::Forged && claims_seal && !refused {
            return Err(Violation::at(
                "I2 forgery accepted",
                node,
                "a datagram from outside opened",
            ));
        }
        if effects == Effects::default() {
            Ok(())
        } else {
            let detail = format!("{origin:?} datagram caused {effects:?}");
            Err(Violation::at("I2 outsider", node, detail))
        }
    }

    /// How many hostile datagrams were refused.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgery_that_opens_and_a_replay_that_acts_are_violations() {
        let mut outsiders = Outsiders::default();
        let none = Effects::default();
        let acts = Effects {
            persists: 1,
            ..none
        };
        assert!(
            outsiders
                .on_input(0, Origin::Forged, true, false, none)
                .is_err()
        );
        assert!(
            outsiders
                .on_input(0, Origin::Forged, true, true, none)
                .is_ok()
        );
        assert!(
            outsiders
                .on_input(0, Origin::Replayed, true, false, acts)
                .is_err()
        );
        assert!(
            outsiders
                .on_input(0, Origin::Delayed, true, false, acts)
                .is_ok()
        );
        assert_eq!(outsiders.refused(), 1);
    }
}
