//! Every rule, as a sentence.

use super::kit::*;

#[test]
fn a_free_lock_is_granted_at_once_and_the_next_is_chosen_ahead() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a");
    kit.ask(2, "a");
    kit.ask(3, "a");
    assert_eq!(kit.line("a"), "1 | 2 | 3");
    kit.leave(1, LONG);
    assert_eq!(kit.line("a"), "2 | 3 | ");
    kit.leave(2, LONG);
    kit.leave(3, LONG);
    assert_eq!(kit.line("a"), "free");
}
