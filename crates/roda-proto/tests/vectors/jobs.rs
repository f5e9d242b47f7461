//! Job entries.

use roda_proto::job::{
    AttemptId, Checkpoint, Claimed, CronExpr, End, JobEntry, JobId, JobKey, Lost, OnCrash, Outcome,
    Place, PushOptions, WorkerId,
};
use roda_proto::token::{Fence, Priority};
use roda_proto::{Seq, WallTime};

use super::{OTHER, Vectors, author};

const WORKER: WorkerId = WorkerId([0xcd; 16]);
const FENCE: Fence = Fence(1_700_000_000 << 20);

fn job() -> JobId {
    JobId {
        author: author(),
        seq: Seq(3),
    }
}

impl Vectors {
    fn add_job(&mut self, name: &'static str, entry: &JobEntry) {
        let bytes = entry.encode();
        assert_eq!(JobEntry::parse(&bytes).as_ref(), Ok(entry));
        self.add(name, bytes);
    }

    pub(super) fn add_jobs(&mut self) {
        self.add_pushes();
        self.add_attempts();
        let jobs = vec![(job(), 0)];
        self.add_job("job-cancel", &JobEntry::Cancel { jobs: jobs.clone() });
        self.add_job("job-retry", &JobEntry::Retry { jobs });
        self.add_job("job-pause", &JobEntry::Pause { paused: true });
        self.add_job("job-purge", &JobEntry::Purge);
    }

    fn add_pushes(&mut self) {
        let key = |text| Some(JobKey::new(text).unwrap());
        let options = PushOptions {
            key: key("mail-1"),
            not_before: WallTime(1_700_000_000_000),
            priority: Priority::MAX,
            tries_max: 5,
            order_key: key("ana"),
            on_crash: OnCrash::Hold,
            cron: None,
        };
        let payload = b"send".to_vec();
        self.add_job("job-push", &JobEntry::Push { payload, options });
        let payload = Vec::new();
        let options = PushOptions::default();
        self.add_job("job-push-plain", &JobEntry::Push { payload, options });
        let payload = Vec::new();
        let options = PushOptions {
            not_before: WallTime(1_700_000_000_000),
            cron: Some(CronExpr::new("20 22 * * *").unwrap()),
            ..PushOptions::default()
        };
        self.add_job("job-push-recurring", &JobEntry::Push { payload, options });
    }

    fn add_attempts(&mut self) {
        let (worker, fence, job) = (WORKER, FENCE, job());
        let attempt = AttemptId { fence, number: 2 };
        let claimed = Claimed {
            job,
            number: 2,
            after: Some(Place {
                author: OTHER,
                seq: Seq(5),
            }),
            generation: 0,
        };
        let jobs = vec![claimed];
        let shard = 3;
        let claim = JobEntry::Claim {
            worker,
            fence,
            shard,
            jobs,
        };
        self.add_job("job-claim", &claim);
        let checkpoint = Checkpoint::new(b"line 7", Some(7), Some(9));
        let save = JobEntry::Save {
            job,
            attempt,
            checkpoint,
        };
        self.add_job("job-save", &save);
        let checkpoint = Checkpoint::new(vec![0; 30_000], Some(8), None);
        let save = JobEntry::Save {
            job,
            attempt,
            checkpoint,
        };
        self.add_job("job-save-blob", &save);
        let retry_at = WallTime(1_700_000_000_000);
        let failed = Outcome::Failed { code: 1, retry_at };
        let ends = [failed, Outcome::Done].map(|outcome| End {
            job,
            attempt,
            outcome,
            millis: 250,
            output: b"x".to_vec(),
            next: None,
        });
        let ends = ends.to_vec();
        self.add_job("job-end", &JobEntry::End { worker, ends });
        self.add_losses(attempt);
    }

    fn add_losses(&mut self, attempt: AttemptId) {
        let (worker, fence, job) = (WORKER, FENCE, job());
        let next = Some(WallTime(1_700_086_800_000));
        let end = End {
            job,
            attempt,
            outcome: Outcome::Done,
            millis: 250,
            output: b"x".to_vec(),
            next,
        };
        let ends = vec![end];
        self.add_job("job-end-round", &JobEntry::End { worker, ends });
        for (name, next) in [("job-lose", None), ("job-lose-round", next)] {
            let last = Seq(7);
            let lost = vec![Lost {
                job,
                attempt,
                last,
                next,
            }];
            let lose = JobEntry::Lose {
                worker,
                fence,
                lost,
            };
            self.add_job(name, &lose);
        }
    }
}
