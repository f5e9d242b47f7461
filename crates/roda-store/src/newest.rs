//! Where the last n messages begin, found from the end.

use std::collections::{BTreeMap, VecDeque};

use roda_proto::{Hlc, Seq};
use rusqlite::Connection;

use crate::Result;
use crate::columns::clock_to_sql;
use crate::history::{PieceRow, Place, Scan, select_piece};
use crate::piece::SPAN_MAX;

/// Rows of the index read at once.
const ROWS_AHEAD: usize = 64;

/// Narrows a scan to the last `count` messages that it holds now.
pub(crate) fn narrow(connection: &Connection, scan: &mut Scan, count: usize) -> Result<()> {
    let mut backwards = Backwards::new(connection, scan);
    let mut last = None;
    for _ in 0..count {
        match backwards.next()? {
            Some(place) => last = last.or(Some(place)),
            None => return Ok(()),
        }
    }
    let before = backwards.next()?;
    // What is stored later does not belong to the last `count` of now.
    scan.until = last.unwrap_or(scan.after);
    scan.after = before.unwrap_or(scan.after);
    Ok(())
}

/// Walks from the end of a scan to its beginning.
struct Backwards<'c> {
    connection: &'c Connection,
    scan: Scan,
    rows: VecDeque<PieceRow>,
    rows_ended: bool,
    /// Everything from this row of the index on is in `rows` or was.
    cursor: (i64, i64),
    /// Pieces that may hold the next message, by their last message not yet returned.
    open: BTreeMap<Place, Open>,
}

enum Open {
    /// Only its row of the index is known; its key is not below its last message.
    Row(PieceRow),
    /// The places of what remains of its messages.
    Places(Vec<Place>),
}

impl<'c> Backwards<'c> {
    fn new(connection: &'c Connection, scan: &Scan) -> Self {
        Self {
            connection,
            scan: scan.clone(),
            rows: VecDeque::new(),
            rows_ended: false,
            cursor: (clock_to_sql(scan.until.0), i64::MAX),
            open: BTreeMap::new(),
        }
    }

    fn next(&mut self) -> Result<Option<Place>> {
        loop {
            self.open_due()?;
            let Some((_, open)) = self.open.pop_last() else {
                return Ok(None);
            };
            match open {
                Open::Row(row) => {
                    let messages = self.scan.load(self.connection, &row)?;
                    self.put_back(messages.iter().map(|message| message.place()).collect());
                }
                Open::Places(mut places) => {
                    let place = places.pop();
                    self.put_back(places);
                    return Ok(place);
                }
            }
        }
    }

    /// Opens every piece that may reach beyond the last message among the open ones.
    fn open_due(&mut self) -> Result<()> {
        loop {
            if self.rows.is_empty() && !self.rows_ended {
                self.read_rows()?;
            }
            let last = self.open.last_key_value().map(|((hlc, ..), _)| *hlc);
            let reach = |row: &PieceRow| Hlc(row.hlc_first.0.saturating_add(SPAN_MAX));
            match self.rows.front() {
                Some(row) if last.is_none_or(|last| reach(row) >= last) => {}
                _ => return Ok(()),
            }
            let wanted = |row: &PieceRow| row.hlc_last >= self.scan.after.0;
            if let Some(row) = self.rows.pop_front().filter(wanted) {
                let place = (row.hlc_last, row.author, Seq(u64::MAX));
                self.open.insert(place, Open::Row(row));
            }
        }
    }

    fn read_rows(&mut self) -> Result<()> {
        let mut statement = self.connection.prepare_cached(concat!(
            select_piece!(),
            "WHERE topic = ?1 AND (hlc_first, batch) < (?2, ?3) AND hlc_first >= ?4
             ORDER BY hlc_first DESC, batch DESC LIMIT ?5"
        ))?;
        let (hlc_first, batch) = self.cursor;
        let earliest = clock_to_sql(Hlc(self.scan.after.0.0.saturating_sub(SPAN_MAX)));
        let mut rows =
            statement.query((self.scan.topic, hlc_first, batch, earliest, ROWS_AHEAD))?;
        while let Some(row) = rows.next()? {
            let row = PieceRow::from_row(row)?;
            self.cursor = (clock_to_sql(row.hlc_first), row.batch);
            self.rows.push_back(row);
        }
        self.rows_ended = self.rows.len() < ROWS_AHEAD;
        Ok(())
    }

    fn put_back(&mut self, places: Vec<Place>) {
        if let Some(last) = places.last() {
            self.open.insert(*last, Open::Places(places));
        }
    }
}
