//! RawNode with asynchronous ready, and the guards without which it goes wrong. Each has a test in
//! ../../tests/engine_test.cpp.
use crate::abi::*;
use crate::log::Log;
use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType,
    HardState, Message, MessageType,
};
use raft::{Error, ProgressState, RawNode, ReadOnlyOption, Ready, SnapshotStatus, StateRole};
use std::collections::{HashMap, VecDeque};

#[derive(Debug)]
pub struct Refusal {
    pub code: i32,
    pub why: String,
}
pub type Outcome<T = ()> = Result<T, Refusal>;

fn refuse<T>(code: i32, why: impl Into<String>) -> Outcome<T> {
    Err(Refusal { code, why: why.into() })
}

pub fn parse<M: protobuf::Message>(bytes: &[u8]) -> Outcome<M> {
    M::parse_from_bytes(bytes).map_err(|e| Refusal { code: INVALID, why: format!("not a message: {e}") })
}

// No index or term gets here in the life of a cluster, and none can be made to overflow from here.
const HIGHEST: u64 = 1 << 62;

/// A ready that is written, or being written.
struct Written {
    number: u64,
    first: Option<u64>,           // index
    last: Option<(u64, u64)>,     // index, term
    snapshot: Option<(u64, u64)>, // likewise
}

/// What a ready shows until it ends.
#[derive(Default)]
struct Shown {
    ready: Option<Ready>,
    entries: Vec<EntryView>,
    committed_entries: Vec<Entry>,
    committed: Vec<EntryView>,
    encoded: Vec<Vec<u8>>,
    messages: Vec<MessageView>,
    reads: Vec<ReadView>,
    snapshot_configuration: Vec<u8>,
}

pub struct Engine {
    node: RawNode<Log>,
    shown: Shown,
    writing: VecDeque<Written>,
    unapplied: VecDeque<(u64, u64)>, // index, bytes of entries given out to be applied
    unapplied_bytes: u64,
    unapplied_limit: u64,
    given: u64,    // the last index given out to be applied
    restored: u64, // the index of the last snapshot, of which the configuration is in force
    configuration: Vec<u8>,
    seed: u64,
    message_limit: u64,
    inflight_limit: u64,
    /// Members that long entries are on their way to, up to an index: so many messages at a time may be, and no more.
    long: HashMap<u64, (u64, u64)>,
}

fn view(entry: &Entry) -> EntryView {
    let kind = match entry.entry_type {
        EntryType::EntryNormal => 0,
        EntryType::EntryConfChange => 1,
        EntryType::EntryConfChangeV2 => 2,
    };
    EntryView { index: entry.index, term: entry.term, kind, payload: View::of(&entry.data) }
}

/// The crate keeps members in hash tables: sorted, the same configuration is the same bytes on every member.
fn encode(mut members: ConfState) -> Vec<u8> {
    for ids in [&mut members.voters, &mut members.voters_outgoing, &mut members.learners, &mut members.learners_next] {
        ids.sort_unstable();
    }
    members.write_to_bytes().expect("to encode a configuration")
}

pub fn encode_voters(ids: &[u64]) -> Vec<u8> {
    encode(ConfState { voters: ids.to_vec(), ..Default::default() })
}

impl Engine {
    pub fn new(config: &Config) -> Outcome<Engine> {
        let members: ConfState = parse(unsafe { config.configuration.slice() })?;
        let stored = config.hard_state;
        // A commit is a hint: what was applied, or truncated, was committed.
        let commit = stored.commit.max(config.truncated_index).max(config.applied);
        if commit > config.last_index || config.applied < config.truncated_index {
            return refuse(
                INVALID,
                format!(
                    "the log ends at {} after {}, but {} is committed and {} applied",
                    config.last_index, config.truncated_index, commit, config.applied
                ),
            );
        }
        let hard_state = HardState { term: stored.term, vote: stored.vote, commit, ..Default::default() };
        let settings = raft::Config {
            id: config.id,
            election_tick: config.election_ticks as usize,
            heartbeat_tick: config.heartbeat_ticks as usize,
            applied: config.applied,
            max_size_per_msg: config.max_message_bytes,
            max_inflight_msgs: config.max_inflight_messages as usize,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            max_uncommitted_size: config.max_uncommitted_bytes,
            max_committed_size_per_ready: config.max_unapplied_bytes.min(1 << 20),
            ..Default::default()
        };
        if settings.id == 0 {
            return refuse(INVALID, "a member's id is not 0");
        }
        settings.validate().map_err(|e| Refusal { code: INVALID, why: e.to_string() })?;
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&settings, Log::new(config, hard_state, members), &logger)
            .map_err(|e| Refusal { code: INVALID, why: e.to_string() })?;
        let mut engine = Engine {
            node,
            shown: Shown::default(),
            writing: VecDeque::new(),
            unapplied: VecDeque::new(),
            unapplied_bytes: 0,
            unapplied_limit: config.max_unapplied_bytes,
            given: config.applied,
            restored: config.truncated_index,
            configuration: Vec::new(),
            seed: config.seed,
            message_limit: config.max_message_bytes,
            inflight_limit: config.max_inflight_messages,
            long: HashMap::new(),
        };
        engine.settle_timeout();
        Ok(engine)
    }

    /// The crate draws election timeouts from the thread's own generator. Ours follow from the seed, the member, its term
    /// and its role, so that a run can be repeated; two that drew the same part with the next term.
    fn settle_timeout(&mut self) {
        let raft = &mut self.node.raft;
        let mut hash = self.seed;
        for part in [raft.id, raft.term, raft.state as u64] {
            // splitmix64
            hash = hash.wrapping_add(part).wrapping_add(0x9E37_79B9_7F4A_7C15);
            hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            hash ^= hash >> 31;
        }
        let least = raft.election_timeout();
        raft.set_randomized_election_timeout(least + (hash % least as u64) as usize);
    }

    /// Between a ready's begin and end, and while a snapshot is being installed, the engine takes nothing.
    fn open(&self) -> Outcome {
        if self.shown.ready.is_some() {
            return refuse(NOT_READY, "a ready has begun and not ended");
        }
        if self.writing.iter().any(|written| written.snapshot.is_some()) {
            return refuse(NOT_READY, "a snapshot is being installed");
        }
        Ok(())
    }

    /// A campaign reads what is committed and not applied in one piece: it waits until all of it is given out, which is
    /// bounded. Who is alone leads at once, and the crate dies of it unless its whole log is durable.
    fn may_campaign(&self) -> Outcome {
        let (raft, log) = (&self.node.raft, &self.node.raft.raft_log);
        if self.given < log.committed.min(log.persisted) {
            return refuse(NOT_READY, format!("only {} of {} are given out to be applied", self.given, log.committed));
        }
        let alone = raft.prs().conf().voters().ids().iter().all(|id| id == raft.id);
        if alone && log.last_index() != log.persisted {
            return refuse(NOT_READY, format!("only {} of {} are durable", log.persisted, log.last_index()));
        }
        Ok(())
    }

    pub fn tick(&mut self) -> Outcome {
        self.open()?;
        if self.node.raft.state != StateRole::Leader && self.may_campaign().is_err() {
            self.node.raft.election_elapsed += 1; // all that a tick does that does not campaign
            return Ok(());
        }
        self.node.tick();
        self.settle_timeout();
        Ok(())
    }

    pub fn campaign(&mut self) -> Outcome {
        self.open()?;
        self.may_campaign()?;
        self.node.campaign().map_err(|e| Refusal { code: NOT_READY, why: e.to_string() })?;
        self.settle_timeout();
        Ok(())
    }

    pub fn step(&mut self, bytes: &[u8]) -> Outcome {
        self.open()?;
        let message = Message::parse_from_carllerche_bytes(&Bytes::copy_from_slice(bytes))
            .map_err(|e| Refusal { code: INVALID, why: format!("not a message: {e}") })?;
        self.check(&message)?;
        if message.get_msg_type() == MessageType::MsgTimeoutNow {
            self.may_campaign()?;
        }
        let from = message.from;
        let stepped = self.node.step(message);
        self.settle_timeout();
        self.resume(from);
        match stepped {
            Ok(()) | Err(Error::ProposalDropped) => Ok(()),
            // Of a member that was removed, or has not been added here yet.
            Err(e) => refuse(INVALID, e.to_string()),
        }
    }

    /// The crate counts messages on their way; a long entry is a message, whatever its size. So that no more bytes are on
    /// their way than of short ones, fewer may be.
    fn slow_down(&mut self, to: u64, last: u64, bytes: u64) {
        if bytes <= 2 * self.message_limit {
            return;
        }
        let fitting = (self.message_limit * self.inflight_limit / bytes).max(1);
        let (through, least) = self.long.entry(to).or_insert((last, fitting));
        *through = last;
        *least = fitting.min(*least);
        self.node.raft.adjust_max_inflight_msgs(to, *least as usize);
    }

    fn resume(&mut self, from: u64) {
        let Some(&(last, _)) = self.long.get(&from) else { return };
        if self.node.raft.prs().get(from).is_none_or(|progress| progress.matched >= last) {
            self.long.remove(&from);
            self.node.raft.adjust_max_inflight_msgs(from, self.inflight_limit as usize);
        }
    }

    /// What no member of ours sends, and the crate would take wrongly or panic at.
    fn check(&self, m: &Message) -> Outcome {
        let kind = m.get_msg_type();
        let reads = matches!(kind, MessageType::MsgReadIndex | MessageType::MsgReadIndexResp);
        let wrong = match kind {
            MessageType::MsgAppend => self.check_append(m).err(),
            MessageType::MsgPropose | MessageType::MsgTransferLeader => {
                Some("it is asked of the leader's host, not of its engine".to_owned())
            }
            MessageType::MsgReadIndex if self.node.raft.state != StateRole::Leader => {
                Some("reads are asked of the leader".to_owned())
            }
            _ if reads && (m.entries.len() != 1 || m.entries[0].data.is_empty()) => {
                Some("a read has one context".to_owned())
            }
            MessageType::MsgSnapshot if m.get_snapshot().get_metadata().index == 0 => {
                Some("a snapshot of nothing".to_owned())
            }
            _ if !reads && kind != MessageType::MsgAppend && !m.entries.is_empty() => {
                Some("it has no entries".to_owned())
            }
            _ => None,
        };
        // Without a term a message counts as the member's own. Only a read has none.
        let unaddressed = m.to != self.node.raft.id || m.from == 0 || m.from == m.to;
        let numbers = [m.term, m.log_term, m.index, m.commit, m.commit_term, m.reject_hint, m.request_snapshot];
        let meta = m.get_snapshot().get_metadata();
        if unaddressed || (m.term == 0 && kind != MessageType::MsgReadIndex) {
            return refuse(INVALID, format!("a {kind:?} from {} to {} in term {}", m.from, m.to, m.term));
        }
        if numbers.iter().any(|n| *n > HIGHEST) || meta.index > HIGHEST || meta.term > m.term {
            return refuse(INVALID, format!("a {kind:?} from {} with numbers that cannot be", m.from));
        }
        match wrong {
            Some(why) => refuse(INVALID, format!("a {kind:?} from {}: {why}", m.from)),
            None => Ok(()),
        }
    }

    /// The crate believes that entries follow each other: an append whose do not makes a follower acknowledge what it
    /// lacks.
    fn check_append(&self, m: &Message) -> Result<(), String> {
        let mut before = (m.index, m.log_term);
        for entry in &m.entries {
            if entry.index != before.0 + 1 || entry.term < before.1 || entry.term > m.term {
                return Err(format!("entry ({}, {}) after {before:?}", entry.index, entry.term));
            }
            before = (entry.index, entry.term);
        }
        // What is committed does not change: the crate dies of it.
        let committed = self.node.raft.raft_log.committed;
        let conflict = |e: &&Entry| e.index <= committed && !self.node.raft.raft_log.match_term(e.index, e.term);
        let held = m.term >= self.node.raft.term && m.index >= self.node.store().truncated();
        match m.entries.iter().find(conflict) {
            Some(entry) if held && self.node.raft.raft_log.match_term(m.index, m.log_term) => {
                Err(format!("entry ({}, {}) in place of one that is committed", entry.index, entry.term))
            }
            _ => Ok(()),
        }
    }

    fn lead(&self) -> Outcome {
        self.open()?;
        if self.node.raft.state != StateRole::Leader {
            return refuse(NOT_LEADER, format!("member {} leads", self.node.raft.leader_id));
        }
        Ok(())
    }

    fn append(&mut self, entries: Vec<Entry>) -> Outcome<(u64, u64)> {
        let first = self.node.raft.raft_log.last_index() + 1;
        let mut message = Message { msg_type: MessageType::MsgPropose, from: self.node.raft.id, ..Default::default() };
        message.set_entries(entries.into());
        match self.node.raft.step(message) {
            Ok(()) => Ok((first, self.node.raft.term)),
            Err(_) if self.node.raft.lead_transferee.is_some() => refuse(NOT_READY, "leadership is being moved"),
            Err(Error::ProposalDropped) => refuse(BUSY, "too much is not committed yet"),
            Err(e) => refuse(INVALID, e.to_string()),
        }
    }

    pub fn propose<'a>(&mut self, payloads: impl Iterator<Item = &'a [u8]>) -> Outcome<(u64, u64)> {
        self.lead()?;
        // A candidate reads all that it has not applied, in one piece.
        if self.unapplied_bytes > self.unapplied_limit {
            return refuse(BUSY, format!("{} bytes are not applied yet", self.unapplied_bytes));
        }
        let entries: Vec<Entry> =
            payloads.map(|p| Entry { data: Bytes::copy_from_slice(p), ..Default::default() }).collect();
        if entries.is_empty() || entries.iter().any(|e| e.data.is_empty()) {
            return refuse(INVALID, "a proposal of nothing");
        }
        self.append(entries)
    }

    pub fn propose_change(&mut self, changes: &[Change]) -> Outcome<(u64, u64)> {
        self.lead()?;
        // The crate would append an empty entry in its place, and say nothing.
        if self.node.raft.has_pending_conf() {
            return refuse(NOT_READY, "another change of members is not applied yet");
        }
        let joint = self.is_joint();
        if joint != changes.is_empty() {
            return refuse(NOT_READY, if joint { "a joint configuration is left first" } else { "nothing to leave" });
        }
        let mut change = ConfChangeV2::default();
        if changes.len() > 1 {
            change.set_transition(ConfChangeTransition::Explicit);
        }
        for one in changes {
            let what = match one.what {
                ADD_VOTER => ConfChangeType::AddNode,
                REMOVE => ConfChangeType::RemoveNode,
                ADD_LEARNER => ConfChangeType::AddLearnerNode,
                _ => return refuse(INVALID, "an unknown kind of change"),
            };
            if one.id == 0 {
                return refuse(INVALID, "a member's id is not 0");
            }
            change.mut_changes().push(ConfChangeSingle { change_type: what, node_id: one.id, ..Default::default() });
        }
        let data = change.write_to_bytes().expect("to encode a change");
        self.append(vec![Entry { entry_type: EntryType::EntryConfChangeV2, data: data.into(), ..Default::default() }])
    }

    pub fn read_index(&mut self, context: &[u8]) -> Outcome {
        self.open()?;
        if context.is_empty() {
            return refuse(INVALID, "a read has a context");
        }
        self.node.read_index(context.to_vec());
        Ok(())
    }

    /// Calls `node`; while too much is given out and not applied, so that no more is. The crate gives out what is
    /// committed and durable: for so long, no more seems to be durable.
    fn held_back<T>(&mut self, call: impl FnOnce(&mut RawNode<Log>) -> T) -> T {
        let persisted = self.node.raft.raft_log.persisted;
        if self.unapplied_bytes > self.unapplied_limit {
            self.node.raft.raft_log.persisted = self.given;
        }
        let result = call(&mut self.node);
        self.node.raft.raft_log.persisted = persisted;
        result
    }

    pub fn has_ready(&mut self) -> bool {
        self.open().is_ok() && self.held_back(|node| node.has_ready())
    }

    pub fn ready_begin(&mut self, out: &mut ReadyView) -> Outcome {
        if !self.has_ready() {
            return refuse(NOT_READY, "there is nothing to do");
        }
        let mut ready = self.held_back(|node| node.ready());
        self.node.store().sent();
        for message in ready.messages() {
            if let Some(last) = message.entries.last() {
                let bytes = message.entries.iter().map(|e| e.data.len() as u64).sum();
                self.slow_down(message.to, last.index, bytes);
            }
        }
        let shown = &mut self.shown;
        shown.committed_entries = ready.take_committed_entries();
        for entry in &shown.committed_entries {
            self.given = entry.index;
            let bytes = (entry.data.len() + 32) as u64;
            self.unapplied.push_back((entry.index, bytes));
            self.unapplied_bytes += bytes;
        }
        shown.committed = shown.committed_entries.iter().map(view).collect();
        shown.entries = ready.entries().iter().map(view).collect();
        let at_once = ready.messages().len();
        for message in ready.messages().iter().chain(ready.persisted_messages()) {
            shown.encoded.push(message.write_to_bytes().expect("to encode a message"));
            let is_snapshot = (message.get_msg_type() == MessageType::MsgSnapshot) as u64;
            shown.messages.push(MessageView { to: message.to, is_snapshot, bytes: View::EMPTY });
        }
        for (message, bytes) in shown.messages.iter_mut().zip(&shown.encoded) {
            message.bytes = View::of(bytes);
        }
        let read = |r: &raft::ReadState| ReadView { index: r.index, context: View::of(&r.request_ctx) };
        shown.reads = ready.read_states().iter().map(read).collect();
        out.number = ready.number();
        out.has_hard_state = ready.hs().is_some() as u64;
        out.hard_state = ready.hs().map_or(HardStateView::default(), |hs| HardStateView {
            term: hs.term,
            vote: hs.vote,
            commit: hs.commit,
        });
        out.has_snapshot = !ready.snapshot().is_empty() as u64;
        out.snapshot = SnapshotView::EMPTY;
        if !ready.snapshot().is_empty() {
            let meta = ready.snapshot().get_metadata();
            shown.snapshot_configuration = encode(meta.get_conf_state().clone());
            out.snapshot = SnapshotView {
                index: meta.index,
                term: meta.term,
                configuration: View::of(&shown.snapshot_configuration),
                data: View::of(&ready.snapshot().data),
            };
        }
        (out.entries, out.entry_count) = (shown.entries.as_ptr(), shown.entries.len());
        (out.committed, out.committed_count) = (shown.committed.as_ptr(), shown.committed.len());
        let (now, later) = shown.messages.split_at(at_once);
        (out.messages, out.message_count) = (now.as_ptr(), now.len());
        (out.persisted_messages, out.persisted_message_count) = (later.as_ptr(), later.len());
        (out.reads, out.read_count) = (shown.reads.as_ptr(), shown.reads.len());
        shown.ready = Some(ready);
        Ok(())
    }

    pub fn ready_end(&mut self) -> Outcome {
        let Some(mut ready) = std::mem::take(&mut self.shown).ready else {
            return refuse(NOT_READY, "no ready has begun");
        };
        let meta = ready.snapshot().get_metadata();
        let snapshot = (!ready.snapshot().is_empty()).then_some((meta.index, meta.term));
        let entries = ready.take_entries();
        let (first, last) = (entries.first().map(|e| e.index), entries.last().map(|e| (e.index, e.term)));
        let log = self.node.mut_store();
        if let Some((index, term)) = snapshot {
            log.restart(index, term);
            self.restored = index;
        }
        log.append(entries);
        self.writing.push_back(Written { number: ready.number(), first, last, snapshot });
        self.node.advance_append_async(ready);
        Ok(())
    }

    /// The last ready up to `number` whose entries are not being replaced by those of a later one. The crate knows what is
    /// durable by index and term, and the same entry may come again: of a leader, replaced by another's, then of the first
    /// once more. It is durable when the last of these is.
    fn lasting(&self, number: u64) -> Option<u64> {
        let writing = self.writing.iter().filter(|written| written.number > number);
        let replaced = writing.filter_map(|written| written.first).min().unwrap_or(u64::MAX);
        let (mut lasting, mut last) = (None, 0);
        for written in self.writing.iter().take_while(|written| written.number <= number) {
            last = written.last.map_or(last, |(index, _)| index);
            if last < replaced {
                lasting = Some(written.number);
            }
        }
        lasting
    }

    pub fn on_persist_ready(&mut self, number: u64) -> Outcome {
        if self.shown.ready.is_some() {
            return refuse(NOT_READY, "a ready has begun and not ended");
        }
        let Some(number) = self.lasting(number) else { return Ok(()) };
        let mut installed = None;
        while self.writing.front().is_some_and(|written| written.number <= number) {
            let written = self.writing.pop_front().unwrap();
            installed = written.snapshot.or(installed);
            if let Some((index, term)) = written.last {
                self.node.mut_store().persisted(index, term);
            }
        }
        self.node.on_persist_ready(number);
        if let Some((index, _)) = installed {
            self.given = index;
            self.unapplied.clear();
            self.unapplied_bytes = 0;
            self.node.advance_apply_to(index);
        }
        self.settle_timeout();
        Ok(())
    }

    pub fn applied_to(&mut self, index: u64) -> Outcome {
        self.open()?;
        let log = &self.node.raft.raft_log;
        if index < log.applied || index > log.committed.min(log.persisted) {
            return refuse(
                INVALID,
                format!("applied {index}, but {} was, and {} is committed and durable", log.applied, log.committed),
            );
        }
        while self.unapplied.front().is_some_and(|(at, _)| *at <= index) {
            self.unapplied_bytes -= self.unapplied.pop_front().unwrap().1;
        }
        self.node.advance_apply_to(index);
        Ok(())
    }

    pub fn apply_change(&mut self, index: u64, kind: u64, payload: &[u8]) -> Outcome<&[u8]> {
        self.open()?;
        if index <= self.restored {
            return refuse(INVALID, format!("the snapshot of {} has the change of {index} in it", self.restored));
        }
        let applied = if kind == 1 {
            let change: ConfChange = parse(payload)?;
            self.node.apply_conf_change(&change)
        } else {
            let change: ConfChangeV2 = parse(payload)?;
            self.node.apply_conf_change(&change)
        };
        let members = match applied {
            Err(e @ Error::ConfChangeError(_)) => return refuse(REFUSED, e.to_string()),
            other => other.map_err(|e| Refusal { code: INVALID, why: e.to_string() })?,
        };
        self.configuration = encode(members);
        // A leader without a vote dies when its next write is durable.
        if self.node.raft.state == StateRole::Leader && !self.is_voter() {
            let term = self.node.raft.term;
            self.node.raft.become_follower(term, 0);
        }
        self.settle_timeout();
        Ok(&self.configuration)
    }

    pub fn compact(&mut self, index: u64) -> Outcome {
        self.open()?;
        let log = self.node.store();
        if index > self.node.raft.raft_log.applied || index > log.durable() {
            return refuse(INVALID, format!("{index} is not applied, or not durable, yet"));
        }
        let compacted = self.node.mut_store().compact(index);
        compacted.map_err(|e| Refusal { code: INVALID, why: e.to_string() })
    }

    pub fn report_unreachable(&mut self, id: u64) -> Outcome {
        self.open()?;
        self.node.report_unreachable(id);
        Ok(())
    }

    pub fn report_snapshot(&mut self, id: u64, arrived: bool) -> Outcome {
        self.open()?;
        self.node.report_snapshot(id, if arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure });
        Ok(())
    }

    pub fn transfer_leader(&mut self, id: u64) -> Outcome {
        self.lead()?;
        if !self.node.raft.prs().conf().voters().contains(id) {
            return refuse(INVALID, format!("member {id} has no vote"));
        }
        self.node.transfer_leader(id);
        Ok(())
    }

    fn is_joint(&self) -> bool {
        !self.node.raft.prs().conf().to_conf_state().voters_outgoing.is_empty()
    }
    fn is_voter(&self) -> bool {
        self.node.raft.prs().conf().voters().contains(self.node.raft.id)
    }

    pub fn status(&self) -> StatusView {
        let raft = &self.node.raft;
        StatusView {
            role: match raft.state {
                StateRole::Follower => 0,
                StateRole::Candidate => 1,
                StateRole::Leader => 2,
                StateRole::PreCandidate => 3,
            },
            term: raft.term,
            vote: raft.vote,
            leader: raft.leader_id,
            last_index: raft.raft_log.last_index(),
            persisted: raft.raft_log.persisted,
            committed: raft.raft_log.committed,
            applied: raft.raft_log.applied,
            pending_change_index: raft.pending_conf_index,
            joint: self.is_joint() as u64,
            voter: self.is_voter() as u64,
            transferee: raft.lead_transferee.unwrap_or(0),
            pending_reads: raft.pending_read_count() as u64,
            unapplied_bytes: self.unapplied_bytes,
            quiet_ticks: self.quiet_ticks() as u64,
        }
    }

    fn quiet_ticks(&self) -> usize {
        let raft = &self.node.raft;
        let left = if raft.state == StateRole::Leader {
            let heartbeat = raft.heartbeat_timeout().saturating_sub(raft.heartbeat_elapsed());
            heartbeat.min(raft.election_timeout().saturating_sub(raft.election_elapsed))
        } else {
            raft.randomized_election_timeout().saturating_sub(raft.election_elapsed)
        };
        left.max(1)
    }

    pub fn progress(&self) -> Vec<ProgressView> {
        let voters = self.node.raft.prs().conf().voters();
        let mut all: Vec<ProgressView> = self
            .node
            .raft
            .prs()
            .iter()
            .map(|(id, progress)| ProgressView {
                id: *id,
                matched: progress.matched,
                recently_active: progress.recent_active as u64,
                learner: !voters.contains(*id) as u64,
                wants_snapshot: (progress.state == ProgressState::Snapshot) as u64,
            })
            .collect();
        all.sort_by_key(|one| one.id);
        all
    }
}
