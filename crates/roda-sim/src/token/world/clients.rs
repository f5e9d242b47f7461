//! Clients come, wait, are inside, and leave or are killed.

use std::time::Duration;

use roda_proto::token::{Acquire, Acquired, Fence, Frontier, HoldState};
use roda_proto::{AuthorId, Seq, Timestamp};

use super::{Happening, World};
use crate::invariants::Check;
use crate::token::client::{Hold, Job};

impl World {
    pub(super) fn on_request(&mut self) -> Check {
        if self.is_healed {
            return Ok(());
        }
        let wait = self.clients.next_request();
        self.after(wait, Happening::Request);
        let node = self.random.below(self.nodes.len());
        let is_open = |process: &crate::token::node::Process| !process.is_closing;
        let is_up = self.nodes[node].process.as_ref().is_some_and(is_open);
        if !is_up || !self.nodes[node].is_running() {
            return Ok(());
        }
        let wish = self.clients.wish();
        self.request(node, wish)?;
        self.settle(node)
    }

    fn request(&mut self, node: usize, wish: Acquire) -> Check {
        let local = self.local(node);
        let Some(process) = self.nodes[node].process.as_mut() else {
            return Ok(());
        };
        let life = process.life;
        let job = |request| Job {
            node,
            life,
            request,
        };
        match process.agent.acquire(local, wish.clone()) {
            Ok(Acquired::Inside {
                request,
                fence,
                frontier,
            }) => self.enter(job(request), wish, fence, &frontier),
            Ok(Acquired::Waiting(request)) => {
                let words = [20, request.0];
                self.trace.note(self.now, node, &words, || {
                    format!("{request:?} wants {wish:?}")
                });
                self.waiting.insert(job(request), wish);
                if let Some(patience) = self.clients.patience() {
                    self.after(patience, Happening::Impatient(job(request)));
                }
                Ok(())
            }
            Err(_refusal) => Ok(()),
        }
    }

    pub(super) fn on_impatient(&mut self, job: Job) -> Check {
        if self.waiting.remove(&job).is_none() {
            return Ok(());
        }
        let local = self.local(job.node);
        if let Some(process) = self.nodes[job.node].living(job.life) {
            process.agent.cancel(local, job.request);
        }
        self.trace
            .note(self.now, job.node, &[21, job.request.0], || {
                format!("{:?} gives up", job.request)
            });
        self.settle(job.node)
    }

    /// Somebody is inside from this moment on.
    pub(super) fn enter(
        &mut self,
        job: Job,
        wish: Acquire,
        fence: Fence,
        frontier: &Frontier,
    ) -> Check {
        let session = self.nodes[job.node].process.as_ref();
        let session = session.and_then(|process| process.session);
        let hold = Hold {
            job,
            session: session.unwrap_or_default(),
            fence,
            wish,
        };
        self.trace.note(self.now, job.node, &[22, fence.0], || {
            format!("{:?} enters with {fence} in {session:?}", job.request)
        });
        self.checks.on_enter(&hold, frontier, &self.inside)?;
        self.inside.insert(job, hold);
        let stay = self.clients.stay();
        self.after(stay, Happening::Leave(job));
        Ok(())
    }

    /// The process tells what runs under locks how safe it is.
    pub(super) fn on_hold(&mut self, job: Job, state: HoldState) {
        self.trace
            .note(self.now, job.node, &[23, job.request.0], || {
                format!("{:?} is {state:?}", job.request)
            });
        let margin = self.nodes[job.node].timings.session() / 8;
        match state {
            HoldState::Safe | HoldState::AtRisk => {}
            HoldState::Stop(_) => {
                if self.clients.is_obedient() {
                    self.end_within(job, margin);
                }
            }
            HoldState::Kill(_) => {
                // A process that was stopped tells it late. What runs knows the end of its lease, too.
                let session = self.inside.get(&job).map(|hold| hold.session);
                let until = self.checks.leases.until(session.unwrap_or_default());
                let longest = margin.min(until.since(self.local(job.node)));
                self.end_within(job, longest);
            }
        }
    }

    /// What runs needs at most this time, by the node's clock, to end.
    pub(super) fn end_within(&mut self, job: Job, longest: Duration) {
        let takes = self.clients.ending(longest);
        let ended = self.local(job.node) + takes;
        let at = self.nodes[job.node].clock.to_world(ended);
        self.queue.push(at, Happening::Leave(job));
    }

    /// Nothing runs any more. The process hears of it, perhaps later.
    pub(super) fn on_leave(&mut self, job: Job) -> Check {
        let Some(hold) = self.inside.remove(&job) else {
            return Ok(());
        };
        self.trace
            .note(self.now, job.node, &[24, hold.fence.0], || {
                format!("{:?} has left", job.request)
            });
        self.checks.leases.check_left(&hold, self.local(job.node))?;
        let wrote = self.clients.writes().then(|| {
            let node = &mut self.nodes[job.node];
            node.written += 1;
            Seq(node.written)
        });
        self.note_written(&hold, wrote);
        if self.clients.wants_again() && !self.is_healed {
            self.leave_and_want_again(job, wrote, hold.wish)
        } else {
            self.happen(Happening::Left(job, wrote))
        }
    }

    /// What is told in a valid session has to reach whoever is next.
    fn note_written(&mut self, hold: &Hold, wrote: Option<Seq>) {
        let local = self.local(hold.job.node);
        let node = &mut self.nodes[hold.job.node];
        let is_running = node.is_running();
        let is_valid = node.living(hold.job.life).is_some_and(|process| {
            process.session == Some(hold.session)
                && process.valid_until.is_some_and(|until| until > local)
        });
        if let Some(seq) = wrote
            && is_running
            && is_valid
        {
            let author = author(hold.job.node);
            self.checks.frontiers.on_write(hold, author, seq);
        }
    }

    /// Both before the process is looked at again.
    fn leave_and_want_again(&mut self, job: Job, wrote: Option<Seq>, wish: Acquire) -> Check {
        let node = job.node;
        if self.nodes[node].living(job.life).is_none() || self.nodes[node].paused.is_some() {
            return self.happen(Happening::Left(job, wrote));
        }
        self.tell_left(job, wrote);
        self.request(node, wish)?;
        self.settle(node)
    }

    pub(super) fn on_left(&mut self, job: Job, wrote: Option<Seq>) -> Check {
        self.tell_left(job, wrote);
        self.settle(job.node)
    }

    fn tell_left(&mut self, job: Job, wrote: Option<Seq>) {
        let local = self.local(job.node);
        if let Some(process) = self.nodes[job.node].living(job.life) {
            let wrote = wrote.map(|seq| (author(job.node), seq));
            process.agent.release(local, job.request, wrote);
        }
    }

    /// Its process is stopped and cannot say that the lease is over: it has to see that by itself.
    pub(super) fn on_watchdog(&mut self, job: Job) -> Check {
        let local = self.local(job.node);
        let node = &mut self.nodes[job.node];
        let is_paused = node.paused.is_some();
        let is_over = node
            .living(job.life)
            .is_some_and(|process| process.valid_until.is_none_or(|until| until <= local));
        if is_paused && is_over {
            return self.on_leave(job);
        }
        Ok(())
    }

    /// Everything that a process let in has to see by itself when its lease is over.
    pub(super) fn watch_holds(&mut self, node: usize, until: Timestamp) {
        let at = self.nodes[node].clock.to_world(until).max(self.now);
        let jobs: Vec<Job> = self
            .inside
            .keys()
            .copied()
            .filter(|job| job.node == node)
            .collect();
        for job in jobs {
            self.queue.push(at, Happening::Watchdog(job));
        }
    }
}

/// The author of what a node writes.
fn author(node: usize) -> AuthorId {
    AuthorId([u8::try_from(node + 1).unwrap_or(u8::MAX); AuthorId::LEN])
}
