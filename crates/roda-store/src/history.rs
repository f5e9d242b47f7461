//! A topic's messages in canonical order.

use std::collections::{BTreeMap, VecDeque};

use roda_proto::log::{Hold, Said};
use roda_proto::{AuthorId, Batch, Hlc, NodeId, Seq, Topic};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::batch_row::{self, select_batch};
use crate::columns::{clock_from_sql, clock_to_sql, seq_from_sql, seq_to_sql};
use crate::piece::{SPAN_MAX, messages};
use crate::{FenceMark, FencedEntry, Reader, Result, StoreError, hold, newest};

/// The beginning of a query for rows of the index by topic.
macro_rules! select_piece {
    () => {
        "SELECT piece.batch, piece.hlc_first, piece.hlc_last, piece.author, author.id, piece.first
         FROM piece JOIN author ON author.number = piece.author "
    };
}
pub(crate) use select_piece;

/// Most messages on one page.
pub const HISTORY_ENTRIES_MAX: usize = 512;
/// Most bytes of bodies on one page.
pub const HISTORY_LEN_MAX: usize = 4 << 20;

/// Rows of the index read at once.
const ROWS_AHEAD: usize = 64;

/// Which messages to read. All bounds hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only messages at or after this clock.
    pub since: Option<Hlc>,
    /// Only messages at or before this clock.
    pub until: Option<Hlc>,
    /// Only the last so many of those that remain.
    pub last: Option<usize>,
    /// Only messages behind this one: go on where another query stopped.
    pub after: Option<(Hlc, AuthorId, Seq)>,
}

/// A message as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Whose log it is in.
    pub author: AuthorId,
    /// The node behind the author.
    pub node: NodeId,
    /// Place in the author's log.
    pub seq: Seq,
    /// Clock.
    pub hlc: Hlc,
    /// Content.
    pub body: Vec<u8>,
    /// The lock under which it was written, if it was.
    pub fence: Option<FenceMark>,
}

impl StoredEntry {
    /// Place in the canonical order; what [`HistoryQuery::after`] takes.
    #[must_use]
    pub const fn place(&self) -> (Hlc, AuthorId, Seq) {
        (self.hlc, self.author, self.seq)
    }

    pub(crate) fn fenced(&self) -> Option<FencedEntry<'_>> {
        let FenceMark { lock, fence, .. } = self.fence.as_ref()?;
        Some(FencedEntry {
            lock,
            fence: *fence,
            author: &self.author,
            seq: self.seq,
        })
    }
}

impl std::fmt::Debug for StoredEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            author, seq, hlc, ..
        } = self;
        write!(f, "StoredEntry({author:?} {seq} {hlc:?})")
    }
}

/// Place of a message in the canonical order. (clock, author) alone is unique already.
pub(crate) type Place = (Hlc, AuthorId, Seq);

/// Reads a topic page by page. Between pages it holds no transaction, and of the content only what
/// overlaps in time with the place reached: at most one batch per author.
///
/// Messages that are stored meanwhile may be returned if their place is still ahead. After an empty
/// page, only a new query with [`HistoryQuery::after`] finds newer ones.
#[derive(Debug)]
pub struct History {
    scan: Scan,
    rows: VecDeque<PieceRow>,
    rows_ended: bool,
    /// Everything up to this row of the index is in `rows` or was.
    cursor: (i64, i64),
    /// Pieces whose time has come, by their first message not yet returned.
    open: BTreeMap<Place, Open>,
}

#[derive(Debug)]
enum Open {
    /// Only its row of the index is known.
    Row(PieceRow),
    /// What remains of its messages.
    Messages(VecDeque<StoredEntry>),
}

/// What is read: a topic between two places.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) topic: i64,
    name: Topic,
    /// Only what lies behind this place.
    pub(crate) after: Place,
    /// And not behind this one.
    pub(crate) until: Place,
}

/// A row of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceRow {
    pub(crate) batch: i64,
    pub(crate) hlc_first: Hlc,
    pub(crate) hlc_last: Hlc,
    author_number: i64,
    pub(crate) author: AuthorId,
    first: Seq,
}

impl Reader {
    /// Starts to read a topic's messages in canonical order: by clock, author, sequence number.
    ///
    /// With [`HistoryQuery::last`], walks back from the end first, over no more than is asked for.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn history(&self, topic: &Topic, query: &HistoryQuery) -> Result<History> {
        let transaction = self.begin()?;
        let select = "SELECT number, entries FROM topic WHERE name = ?1";
        let found = transaction
            .prepare_cached(select)?
            .query_row([topic.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        // No row has topic 0.
        let (number, entries): (i64, usize) = found.unwrap_or_default();
        let since = query.since.map(|hlc| (hlc, AuthorId([0; 16]), Seq(0)));
        let until = query.until.unwrap_or(Hlc(u64::MAX));
        let mut scan = Scan {
            topic: number,
            name: topic.clone(),
            after: since.max(query.after).unwrap_or(BEGINNING),
            until: (until, AuthorId([0xff; 16]), Seq(u64::MAX)),
        };
        if let Some(last) = query.last.filter(|last| *last < entries) {
            newest::narrow(&transaction, &mut scan, last)?;
        }
        // The first piece that can reach beyond `after` begins at most one span before it.
        let earliest = Hlc(scan.after.0.0.saturating_sub(SPAN_MAX));
        Ok(History {
            cursor: (clock_to_sql(earliest), i64::MIN),
            scan,
            rows: VecDeque::new(),
            rows_ended: false,
            open: BTreeMap::new(),
        })
    }
}

impl History {
    /// The next messages: at most [`HISTORY_ENTRIES_MAX`], and more than [`HISTORY_LEN_MAX`] bytes
    /// only if one alone is longer; none at the end. `reader` is any reader of the same database.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn next_page(&mut self, reader: &Reader) -> Result<Vec<StoredEntry>> {
        let transaction = reader.begin()?;
        let mut page = self.read_page(&transaction)?;
        // Only now: whether an entry is late may have changed since its batch was read.
        hold::mark(&transaction, self.scan.topic, &mut page)?;
        Ok(page)
    }

    fn read_page(&mut self, connection: &Connection) -> Result<Vec<StoredEntry>> {
        let mut page = Vec::new();
        let mut room = HISTORY_LEN_MAX;
        loop {
            self.open_due(connection)?;
            let Some((_, open)) = self.open.pop_first() else {
                return Ok(page);
            };
            let mut messages = match open {
                Open::Row(row) => self.scan.load(connection, &row)?.into(),
                Open::Messages(messages) => messages,
            };
            let limit = self.next_elsewhere();
            while let Some(message) = messages.front()
                && message.place() < limit
            {
                let full = page.len() == HISTORY_ENTRIES_MAX || message.body.len() > room;
                if full && !page.is_empty() {
                    self.put_back(messages);
                    return Ok(page);
                }
                room = room.saturating_sub(message.body.len());
                page.extend(messages.pop_front());
            }
            self.put_back(messages);
        }
    }

    /// Opens every piece that may hold the next message.
    fn open_due(&mut self, connection: &Connection) -> Result<()> {
        loop {
            if self.rows.is_empty() && !self.rows_ended {
                self.read_rows(connection)?;
            }
            let next = self.open.first_key_value().map(|((hlc, ..), _)| *hlc);
            // Rows come by clock, and within one clock by batch and not by author.
            match self.rows.front() {
                Some(row) if next.is_none_or(|next| row.hlc_first <= next) => {}
                _ => return Ok(()),
            }
            let reaches = |row: &PieceRow| row.hlc_last >= self.scan.after.0;
            if let Some(row) = self.rows.pop_front().filter(reaches) {
                self.open.insert(row.place(), Open::Row(row));
            }
        }
    }

    fn read_rows(&mut self, connection: &Connection) -> Result<()> {
        let mut statement = connection.prepare_cached(concat!(
            select_piece!(),
            "WHERE topic = ?1 AND (hlc_first, batch) > (?2, ?3) AND hlc_first <= ?4
             ORDER BY hlc_first, batch LIMIT ?5"
        ))?;
        let (hlc_first, batch) = self.cursor;
        let until = clock_to_sql(self.scan.until.0);
        let mut rows = statement.query((self.scan.topic, hlc_first, batch, until, ROWS_AHEAD))?;
        while let Some(row) = rows.next()? {
            let row = PieceRow::from_row(row)?;
            self.cursor = (clock_to_sql(row.hlc_first), row.batch);
            self.rows.push_back(row);
        }
        self.rows_ended = self.rows.len() < ROWS_AHEAD;
        Ok(())
    }

    /// The first place at which anything but the piece in hand may have a message.
    fn next_elsewhere(&self) -> Place {
        let open = self.open.first_key_value().map(|(place, _)| *place);
        let unopened = self
            .rows
            .front()
            .map(|row| (row.hlc_first, AuthorId([0; 16]), Seq(0)));
        [open, unopened].into_iter().flatten().min().unwrap_or(END)
    }

    fn put_back(&mut self, messages: VecDeque<StoredEntry>) {
        if let Some(first) = messages.front() {
            self.open.insert(first.place(), Open::Messages(messages));
        }
    }
}

impl Scan {
    /// The messages of a piece that lie within the scan, in order; none if it was voided meanwhile.
    pub(crate) fn load(&self, connection: &Connection, row: &PieceRow) -> Result<Vec<StoredEntry>> {
        let select = select_batch!(
            "JOIN piece ON piece.batch = batch.number
             WHERE piece.topic = ?1 AND piece.hlc_first = ?2 AND piece.batch = ?3
             AND piece.author = ?4 AND piece.first = ?5"
        );
        let params = (
            self.topic,
            clock_to_sql(row.hlc_first),
            row.batch,
            row.author_number,
            seq_to_sql(row.first),
        );
        let Some(batch) = batch_row::load(connection, select, params)? else {
            return Ok(Vec::new());
        };
        let mut in_piece = messages(&batch)
            .filter(|(entry, said)| said.topic == self.name.as_str() && entry.hlc >= row.hlc_first)
            .take_while(|(entry, _)| entry.hlc <= row.hlc_last)
            .peekable();
        if in_piece
            .peek()
            .map(|(entry, _)| (entry.hlc, batch.author, entry.seq))
            != Some(row.place())
        {
            return Err(StoreError::Damaged(format!(
                "batch {} of {}: the index by topic does not fit its content",
                batch.first, batch.author
            )));
        }
        Ok(in_piece
            .map(|(entry, said)| stored(&batch, &entry, said))
            .filter(|entry| entry.place() > self.after && entry.place() <= self.until)
            .collect())
    }
}

impl PieceRow {
    /// Reads a row of a query made by [`select_piece`].
    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            batch: row.get(0)?,
            hlc_first: clock_from_sql(row.get(1)?),
            hlc_last: clock_from_sql(row.get(2)?),
            author_number: row.get(3)?,
            author: AuthorId(row.get(4)?),
            first: seq_from_sql(row.get(5)?),
        })
    }

    /// Place of its first message.
    pub(crate) const fn place(&self) -> Place {
        (self.hlc_first, self.author, self.first)
    }
}

fn stored(batch: &Batch, entry: &roda_proto::Entry<'_>, said: Said<'_>) -> StoredEntry {
    let mark = |hold: Hold| FenceMark {
        lock: hold.lock,
        fence: hold.fence,
        late: false,
    };
    StoredEntry {
        author: batch.author,
        node: batch.node,
        seq: entry.seq,
        hlc: entry.hlc,
        body: said.body.to_vec(),
        fence: said.hold.map(mark),
    }
}

const BEGINNING: Place = (Hlc::ZERO, AuthorId([0; 16]), Seq(0));
const END: Place = (Hlc(u64::MAX), AuthorId([0xff; 16]), Seq(u64::MAX));
