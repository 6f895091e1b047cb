//! The log as the engine reads it: a tail in memory, and the host's storage below.
use crate::abi::*;
use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::c_void;

pub struct Log {
    calls: StorageCalls,
    initial: RaftState,
    truncated: (u64, u64), // index, term
    last: u64,
    tail: VecDeque<Entry>, // consecutive, up to `last`; what is not durable is always in it
    tail_bytes: u64,
    tail_limit: u64,
    durable: u64,
    /// Of entries read to be sent since the last ready; over the limit, no more are.
    sending: Cell<u64>,
    sending_limit: u64,
}

fn failed(code: i32, what: &str) -> Error {
    match code {
        COMPACTED => Error::Store(StorageError::Compacted),
        UNAVAILABLE => Error::Store(StorageError::Unavailable),
        // There is no going on without the log: caught at the border, and the engine is poisoned.
        _ => panic!("the host could not read {what} of its log"),
    }
}

fn size_of(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len()) as u64
}

struct Sink {
    entries: Vec<Entry>,
}

unsafe extern "C" fn push(sink: *mut c_void, view: *const EntryView) {
    let (sink, view) = (&mut *(sink as *mut Sink), &*view);
    sink.entries.push(Entry {
        index: view.index,
        term: view.term,
        entry_type: entry_type(view.kind),
        data: Bytes::copy_from_slice(view.payload.slice()),
        ..Default::default()
    });
}

pub fn entry_type(kind: u64) -> EntryType {
    match kind {
        1 => EntryType::EntryConfChange,
        2 => EntryType::EntryConfChangeV2,
        _ => EntryType::EntryNormal,
    }
}

impl Log {
    pub fn new(config: &Config, hard_state: HardState, members: ConfState) -> Log {
        Log {
            calls: config.storage,
            initial: RaftState::new(hard_state, members),
            truncated: (config.truncated_index, config.truncated_term),
            last: config.last_index,
            tail: VecDeque::new(),
            tail_bytes: 0,
            tail_limit: config.max_cached_bytes,
            durable: config.last_index,
            sending: Cell::new(0),
            sending_limit: config.max_message_bytes.saturating_mul(config.max_inflight_messages),
        }
    }

    pub fn sent(&self) {
        self.sending.set(0);
    }

    fn tail_first(&self) -> u64 {
        self.last + 1 - self.tail.len() as u64
    }

    /// Takes over what a ready gave to be written.
    pub fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first().map(|e| e.index) else { return };
        let keep = first.saturating_sub(self.tail_first()).min(self.tail.len() as u64) as usize;
        for gone in self.tail.drain(keep..) {
            self.tail_bytes -= size_of(&gone);
        }
        self.durable = self.durable.min(first - 1);
        self.last = first - 1 + entries.len() as u64;
        self.tail_bytes += entries.iter().map(size_of).sum::<u64>();
        self.tail.extend(entries);
    }

    pub fn restart(&mut self, index: u64, term: u64) {
        self.tail.clear();
        self.tail_bytes = 0;
        (self.truncated, self.last, self.durable) = ((index, term), index, index);
    }

    /// The entry at `index` is durable, if it is still that of `term`.
    pub fn persisted(&mut self, index: u64, term: u64) {
        if index <= self.last && self.term(index) == Ok(term) {
            self.durable = self.durable.max(index);
        }
        while self.tail_bytes > self.tail_limit && self.tail.front().is_some_and(|e| e.index <= self.durable) {
            self.tail_bytes -= size_of(&self.tail.pop_front().unwrap());
        }
    }

    pub fn compact(&mut self, index: u64) -> Result<()> {
        if index <= self.truncated.0 {
            return Ok(());
        }
        self.truncated = (index, self.term(index)?);
        while self.tail.front().is_some_and(|e| e.index <= index) {
            self.tail_bytes -= size_of(&self.tail.pop_front().unwrap());
        }
        Ok(())
    }

    /// What has been read by payload, cut by what it takes in a message.
    fn cut(&self, mut entries: Vec<Entry>, limit: u64, context: &GetEntriesContext) -> Vec<Entry> {
        raft::util::limit_size(&mut entries, Some(limit));
        if context.can_async() {
            self.sending.set(self.sending.get() + entries.iter().map(size_of).sum::<u64>());
        }
        entries
    }

    pub fn truncated(&self) -> u64 {
        self.truncated.0
    }
    pub fn durable(&self) -> u64 {
        self.durable
    }
}

impl Storage for Log {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        // Only what reads to send can wait: an answer or a heartbeat's lets it go on.
        if context.can_async() && self.sending.get() > self.sending_limit {
            return Err(Error::Store(StorageError::LogTemporarilyUnavailable));
        }
        if low <= self.truncated.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last + 1, "entries up to {} of a log that ends at {}", high - 1, self.last);
        let limit = max_size.into().unwrap_or(u64::MAX);
        let (first, mut size) = (self.tail_first(), 0);
        let mut sink = Sink { entries: Vec::new() };
        if low < first {
            let end = high.min(first);
            let into = &mut sink as *mut Sink as *mut c_void;
            let code = unsafe { (self.calls.entries)(self.calls.host, low, end, limit, push, into) };
            if code != OK {
                return Err(failed(code, "entries"));
            }
            assert!(
                !sink.entries.is_empty() && sink.entries.iter().zip(low..).all(|(e, index)| e.index == index),
                "the host's storage gave other entries than {low}.."
            );
            if (sink.entries.len() as u64) < end - low {
                return Ok(self.cut(sink.entries, limit, &context));
            }
            size = sink.entries.iter().map(size_of).sum();
        }
        let mut out = sink.entries;
        for entry in self.tail.range((low.max(first) - first) as usize..(high.max(first) - first) as usize) {
            size += size_of(entry);
            if size > limit && !out.is_empty() {
                break;
            }
            out.push(entry.clone());
        }
        Ok(self.cut(out, limit, &context))
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.truncated.0 {
            return Ok(self.truncated.1);
        }
        if index < self.truncated.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        if index > self.last {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let first = self.tail_first();
        if index >= first {
            return Ok(self.tail[(index - first) as usize].term);
        }
        let mut term = 0;
        match unsafe { (self.calls.term)(self.calls.host, index, &mut term) } {
            OK => Ok(term),
            code => Err(failed(code, "a term")),
        }
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.truncated.0 + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last)
    }

    fn snapshot(&self, request_index: u64, to: u64) -> Result<Snapshot> {
        let mut view = SnapshotView::EMPTY;
        let code = unsafe { (self.calls.snapshot)(self.calls.host, request_index, to, &mut view) };
        if code != OK {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        let mut snapshot = Snapshot::default();
        let meta = snapshot.mut_metadata();
        (meta.index, meta.term) = (view.index, view.term);
        meta.set_conf_state(crate::engine::parse(unsafe { view.configuration.slice() }).expect("a configuration"));
        snapshot.data = Bytes::copy_from_slice(unsafe { view.data.slice() });
        Ok(snapshot)
    }
}
