//! Tools for tests with damaged files: an allocator that counts, and damage.

// An allocator cannot be written without `unsafe`.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::prelude::*;

/// The system's allocator with a count of the bytes in use and of their maximum.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: both methods hand their arguments to the system's allocator unchanged and return what it
// returns; counting touches no memory of the caller. The methods that are not written here fall
// back on these two, so that a block that grows counts twice while it is copied.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), SeqCst) + layout.size();
        PEAK.fetch_max(now, SeqCst);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: `block` came from `System.alloc` with this layout, as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Result of `read` and the most bytes that it had in use at a time.
pub fn measure<T>(read: impl FnOnce() -> T) -> (T, usize) {
    let before = IN_USE.load(SeqCst);
    PEAK.store(before, SeqCst);
    let result = read();
    (result, PEAK.load(SeqCst).saturating_sub(before))
}

/// One step of damage.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Writes a byte at a place.
    Set(prop::sample::Index, u8),
    /// Writes a byte into the first 20, where sizes and flags stand.
    SetHeader(prop::sample::Index, u8),
    /// Flips a bit at a place.
    Flip(prop::sample::Index, u8),
    /// Cuts the end off.
    Cut(prop::sample::Index),
    /// Adds bytes.
    Extend(Vec<u8>),
}

impl Damage {
    /// Applies it.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Extend(more) => bytes.extend(more),
            _ if bytes.is_empty() => {}
            Self::Set(place, value) => {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            Self::SetHeader(place, value) => {
                let place = place.index(bytes.len().min(20));
                bytes[place] = *value;
            }
            Self::Flip(place, bit) => {
                let place = place.index(bytes.len());
                bytes[place] ^= 1 << bit;
            }
            Self::Cut(place) => bytes.truncate(place.index(bytes.len())),
        }
    }
}

/// Up to three steps of damage.
pub fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let place = any::<prop::sample::Index>;
    let one = prop_oneof![
        (place(), any::<u8>()).prop_map(|(place, value)| Damage::Set(place, value)),
        (place(), any::<u8>()).prop_map(|(place, value)| Damage::SetHeader(place, value)),
        (place(), 0..8_u8).prop_map(|(place, bit)| Damage::Flip(place, bit)),
        place().prop_map(Damage::Cut),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Damage::Extend),
    ];
    prop::collection::vec(one, 0..4)
}
