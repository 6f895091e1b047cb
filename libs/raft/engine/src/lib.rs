//! The `raft` crate behind the C header ../src/engine_abi.h. No panic leaves it: what panicked is poisoned.
mod abi;
mod engine;
mod log;

use abi::*;
use engine::{Engine, Outcome, Refusal};
use std::panic::{catch_unwind, AssertUnwindSafe};

pub struct Raft {
    engine: Option<Engine>, // none: poisoned
    error: String,
}

fn text_of(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}

/// Runs `call` on the engine; whatever goes wrong becomes a code, with its text for last_error.
fn guarded(raft: *mut Raft, call: impl FnOnce(&mut Engine) -> Outcome) -> i32 {
    let raft = unsafe { &mut *raft };
    let Some(engine) = raft.engine.as_mut() else { return POISONED };
    match catch_unwind(AssertUnwindSafe(|| call(engine))) {
        Ok(Ok(())) => OK,
        Ok(Err(Refusal { code, why })) => {
            raft.error = why;
            code
        }
        Err(panic) => {
            raft.error = text_of(panic);
            raft.engine = None; // half a step was done
            POISONED
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_layout(sizes: *mut usize, count: usize) -> usize {
    for (i, size) in LAYOUT.iter().take(count).enumerate() {
        *sizes.add(i) = *size;
    }
    LAYOUT.len()
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_create(config: *const Config, error: *mut u8, capacity: usize) -> *mut Raft {
    let why = match catch_unwind(AssertUnwindSafe(|| Engine::new(&*config))) {
        Ok(Ok(engine)) => return Box::into_raw(Box::new(Raft { engine: Some(engine), error: String::new() })),
        Ok(Err(refusal)) => refusal.why,
        Err(panic) => text_of(panic),
    };
    if capacity > 0 {
        let size = why.len().min(capacity - 1);
        std::ptr::copy_nonoverlapping(why.as_ptr(), error, size);
        *error.add(size) = 0;
    }
    std::ptr::null_mut()
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_destroy(raft: *mut Raft) {
    if !raft.is_null() {
        drop(Box::from_raw(raft));
    }
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_last_error(raft: *const Raft) -> View {
    View::of((*raft).error.as_bytes())
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_tick(raft: *mut Raft) -> i32 {
    guarded(raft, |engine| engine.tick())
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_campaign(raft: *mut Raft) -> i32 {
    guarded(raft, |engine| engine.campaign())
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_step(raft: *mut Raft, message: View) -> i32 {
    guarded(raft, |engine| engine.step(message.slice()))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_propose(
    raft: *mut Raft,
    payloads: *const View,
    count: usize,
    first_index: *mut u64,
    term: *mut u64,
) -> i32 {
    guarded(raft, |engine| {
        let payloads = if count == 0 { &[] } else { std::slice::from_raw_parts(payloads, count) };
        (*first_index, *term) = engine.propose(payloads.iter().map(|view| view.slice()))?;
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_propose_change(
    raft: *mut Raft,
    changes: *const Change,
    count: usize,
    index: *mut u64,
    term: *mut u64,
) -> i32 {
    guarded(raft, |engine| {
        let changes = if count == 0 { &[] } else { std::slice::from_raw_parts(changes, count) };
        (*index, *term) = engine.propose_change(changes)?;
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_read_index(raft: *mut Raft, context: View) -> i32 {
    guarded(raft, |engine| engine.read_index(context.slice()))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_has_ready(raft: *mut Raft) -> bool {
    (*raft).engine.as_mut().is_some_and(Engine::has_ready)
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_ready_begin(raft: *mut Raft, ready: *mut ReadyView) -> i32 {
    guarded(raft, |engine| engine.ready_begin(&mut *ready))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_ready_end(raft: *mut Raft) -> i32 {
    guarded(raft, |engine| engine.ready_end())
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_on_persist_ready(raft: *mut Raft, number: u64) -> i32 {
    guarded(raft, |engine| engine.on_persist_ready(number))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_applied_to(raft: *mut Raft, index: u64) -> i32 {
    guarded(raft, |engine| engine.applied_to(index))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_apply_change(
    raft: *mut Raft,
    index: u64,
    kind: u64,
    payload: View,
    configuration: *mut View,
) -> i32 {
    guarded(raft, |engine| {
        *configuration = View::of(engine.apply_change(index, kind, payload.slice())?);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_compact(raft: *mut Raft, index: u64) -> i32 {
    guarded(raft, |engine| engine.compact(index))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_report_unreachable(raft: *mut Raft, id: u64) -> i32 {
    guarded(raft, |engine| engine.report_unreachable(id))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_report_snapshot(raft: *mut Raft, id: u64, arrived: bool) -> i32 {
    guarded(raft, |engine| engine.report_snapshot(id, arrived))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_transfer_leader(raft: *mut Raft, id: u64) -> i32 {
    guarded(raft, |engine| engine.transfer_leader(id))
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_get_status(raft: *const Raft, status: *mut StatusView) -> i32 {
    match &(*raft).engine {
        Some(engine) => {
            *status = engine.status();
            OK
        }
        None => POISONED,
    }
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_get_progress(
    raft: *const Raft,
    progress: *mut ProgressView,
    capacity: usize,
) -> usize {
    let Some(engine) = &(*raft).engine else { return 0 };
    let all = engine.progress();
    for (i, one) in all.iter().take(capacity).enumerate() {
        *progress.add(i) = *one;
    }
    all.len()
}

#[no_mangle]
pub unsafe extern "C" fn larder_raft_encode_voters(
    ids: *const u64,
    count: usize,
    out: *mut u8,
    size: *mut usize,
) -> i32 {
    let bytes = engine::encode_voters(if count == 0 { &[] } else { std::slice::from_raw_parts(ids, count) });
    let capacity = std::mem::replace(&mut *size, bytes.len());
    if bytes.len() > capacity {
        return INVALID;
    }
    std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len());
    OK
}
