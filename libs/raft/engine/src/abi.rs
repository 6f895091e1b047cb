//! The declarations of ../../src/engine_abi.h, in its order.
use std::ffi::c_void;
use std::mem::size_of;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct View {
    pub data: *const u8,
    pub size: usize,
}

impl View {
    pub const EMPTY: View = View { data: std::ptr::null(), size: 0 };
    pub fn of(bytes: &[u8]) -> View {
        View { data: bytes.as_ptr(), size: bytes.len() }
    }
    /// # Safety
    /// The bytes must be there as long as the result is used.
    pub unsafe fn slice<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(self.data, self.size)
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct EntryView {
    pub index: u64,
    pub term: u64,
    pub kind: u64,
    pub payload: View,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct HardStateView {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct SnapshotView {
    pub index: u64,
    pub term: u64,
    pub configuration: View,
    pub data: View,
}

impl SnapshotView {
    pub const EMPTY: SnapshotView = SnapshotView { index: 0, term: 0, configuration: View::EMPTY, data: View::EMPTY };
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct MessageView {
    pub to: u64,
    pub is_snapshot: u64,
    pub bytes: View,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ReadView {
    pub index: u64,
    pub context: View,
}

pub const OK: i32 = 0;
pub const INVALID: i32 = 1;
pub const NOT_LEADER: i32 = 2;
pub const NOT_READY: i32 = 3;
pub const BUSY: i32 = 4;
pub const POISONED: i32 = 5;
pub const COMPACTED: i32 = 6;
pub const UNAVAILABLE: i32 = 7;
pub const REFUSED: i32 = 9;

pub type Push = unsafe extern "C" fn(sink: *mut c_void, entry: *const EntryView);

#[repr(C)]
#[derive(Clone, Copy)]
pub struct StorageCalls {
    pub host: *mut c_void,
    pub entries: unsafe extern "C" fn(*mut c_void, u64, u64, u64, Push, *mut c_void) -> i32,
    pub term: unsafe extern "C" fn(*mut c_void, u64, *mut u64) -> i32,
    pub snapshot: unsafe extern "C" fn(*mut c_void, u64, u64, *mut SnapshotView) -> i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Config {
    pub id: u64,
    pub election_ticks: u64,
    pub heartbeat_ticks: u64,
    pub seed: u64,
    pub applied: u64,
    pub truncated_index: u64,
    pub truncated_term: u64,
    pub last_index: u64,
    pub hard_state: HardStateView,
    pub configuration: View,
    pub max_message_bytes: u64,
    pub max_inflight_messages: u64,
    pub max_uncommitted_bytes: u64,
    pub max_unapplied_bytes: u64,
    pub max_cached_bytes: u64,
    pub storage: StorageCalls,
}

#[repr(C)]
pub struct ReadyView {
    pub number: u64,
    pub has_hard_state: u64,
    pub hard_state: HardStateView,
    pub has_snapshot: u64,
    pub snapshot: SnapshotView,
    pub entries: *const EntryView,
    pub entry_count: usize,
    pub committed: *const EntryView,
    pub committed_count: usize,
    pub messages: *const MessageView,
    pub message_count: usize,
    pub persisted_messages: *const MessageView,
    pub persisted_message_count: usize,
    pub reads: *const ReadView,
    pub read_count: usize,
}

#[repr(C)]
#[derive(Default)]
pub struct StatusView {
    pub role: u64,
    pub term: u64,
    pub vote: u64,
    pub leader: u64,
    pub last_index: u64,
    pub persisted: u64,
    pub committed: u64,
    pub applied: u64,
    pub pending_change_index: u64,
    pub joint: u64,
    pub voter: u64,
    pub transferee: u64,
    pub pending_reads: u64,
    pub unapplied_bytes: u64,
    pub quiet_ticks: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProgressView {
    pub id: u64,
    pub matched: u64,
    pub recently_active: u64,
    pub learner: u64,
    pub wants_snapshot: u64,
}

pub const ADD_VOTER: u64 = 0;
pub const REMOVE: u64 = 1;
pub const ADD_LEARNER: u64 = 2;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Change {
    pub what: u64,
    pub id: u64,
}

pub const LAYOUT: [usize; 12] = [
    size_of::<View>(),
    size_of::<EntryView>(),
    size_of::<HardStateView>(),
    size_of::<SnapshotView>(),
    size_of::<MessageView>(),
    size_of::<ReadView>(),
    size_of::<StorageCalls>(),
    size_of::<Config>(),
    size_of::<ReadyView>(),
    size_of::<StatusView>(),
    size_of::<ProgressView>(),
    size_of::<Change>(),
];
