#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use runplan_fuzz::{archive, craft};

/// Counts what is held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let bytes = craft::archive(data);
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let read = archive::read(&bytes);
    let took = MOST.load(Relaxed).saturating_sub(before);
    // The contents are kept here, up to a mebibyte, and grow by doubling.
    assert!(took < (4 << 20) + 32 * bytes.len(), "{took} bytes of memory for {} of archive", bytes.len());
    if let Ok(entries) = read {
        archive::as_others_read(&bytes, &entries);
    }
});
