//! A byte queue between a socket and the router: read at one end, consumed at the other, without allocating or copying
//! while messages stay small. An empty queue owns no storage: it lies in a pool of the thread, so that a thousand idle
//! sessions hold no buffers and busy ones share those that are warm in the processor's cache.

use std::cell::RefCell;

/// Storage of one queue, unless a single message needs more: what one system call moves of a large result.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Storages a thread keeps for its next reads. Few sessions of one thread are amid a message at the same moment; more
/// than this much (4 MiB) goes back to the allocator.
const MAX_POOLED: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Initialised storage with the filled part between `head` and `tail`.
#[derive(Debug, Default)]
pub struct Buffer {
    data: Box<[u8]>,
    head: usize,
    tail: usize,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Buffer {
    #[inline]
    pub fn filled(&self) -> &[u8] {
        &self.data[self.head..self.tail]
    }
    #[inline]
    pub fn len(&self) -> usize {
        self.tail - self.head
    }
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Drops the first `n` filled bytes.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        self.head += n;
        debug_assert!(self.head <= self.tail, "consumed more than was filled");
        self.release_if_empty();
    }

    /// An empty queue gives its storage back; [`Buffer::space`] takes one again.
    #[inline]
    pub fn release_if_empty(&mut self) {
        if self.head == self.tail {
            self.head = 0;
            self.tail = 0;
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        let data = std::mem::take(&mut self.data);
        if data.len() == BUFFER_BYTES {
            // A thread that ends has no pool any more.
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < MAX_POOLED {
                    pool.push(data);
                }
            });
        }
    }

    /// Room to read into: at least one byte, more when the filled part can be moved down.
    pub fn space(&mut self) -> &mut [u8] {
        if self.tail == self.data.len() {
            self.make_room(1);
        }
        &mut self.data[self.tail..]
    }

    /// Declares that `n` bytes of [`Buffer::space`] have been filled.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        self.tail += n;
        debug_assert!(self.tail <= self.data.len(), "advanced past the storage");
    }

    /// Makes `n` more bytes fit, moving the filled part down or growing the storage.
    pub fn make_room(&mut self, n: usize) {
        if self.tail + n <= self.data.len() {
            return;
        }
        let length = self.len();
        if length + n <= self.data.len() {
            self.data.copy_within(self.head..self.tail, 0);
        } else {
            let mut grown = storage((length + n).max(2 * self.data.len()));
            grown[..length].copy_from_slice(self.filled());
            self.give_back();
            self.data = grown;
        }
        self.head = 0;
        self.tail = length;
    }

    pub fn extend(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.data[self.tail..self.tail + bytes.len()].copy_from_slice(bytes);
        self.tail += bytes.len();
    }

    /// Moves the first `n` bytes to the end of `to`. Where that is empty the storage changes hands, and only what stays
    /// behind is copied, if it is less.
    #[inline]
    pub fn move_to(&mut self, n: usize, to: &mut Buffer) {
        let rest = self.len() - n;
        if to.is_empty() && rest < n {
            std::mem::swap(self, to);
            // What was `to`'s own storage, if it had any, serves for the rest.
            if rest > 0 {
                to.tail -= rest;
                self.extend(&to.data[to.tail..to.tail + rest]);
            } else {
                self.release_if_empty();
            }
        } else if n > 0 {
            to.extend(&self.filled()[..n]);
            self.consume(n);
        }
    }
}

/// At least so many bytes, from the pool if it has them.
fn storage(bytes: usize) -> Box<[u8]> {
    let pooled = || POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
    let pooled = if bytes <= BUFFER_BYTES { pooled() } else { None };
    pooled.unwrap_or_else(|| vec![0; bytes.max(BUFFER_BYTES)].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn behaves_like_a_byte_queue() {
        let mut seed = 7u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize
        };
        let (mut a, mut b) = (Buffer::default(), Buffer::default());
        let (mut model_a, mut model_b) = (VecDeque::new(), VecDeque::new());
        for _ in 0..5000 {
            match next() % 4 {
                0 => {
                    let bytes: Vec<u8> = (0..next() % 30_000).map(|_| next() as u8).collect();
                    a.extend(&bytes);
                    model_a.extend(bytes);
                }
                1 => {
                    let space = a.space();
                    let n = space.len().min(next() % 500);
                    space[..n].fill(9);
                    a.advance(n);
                    model_a.extend(std::iter::repeat_n(9, n));
                }
                2 => {
                    let n = next() % (a.len() + 1);
                    a.move_to(n, &mut b);
                    model_b.extend(model_a.drain(..n));
                }
                _ => {
                    let n = if next() % 3 == 0 { b.len() } else { next() % (b.len() + 1) };
                    b.consume(n);
                    model_b.drain(..n);
                }
            }
            if model_a.len() > 200_000 {
                a.consume(model_a.len());
                model_a.clear();
            }
        }
        assert_eq!(a.filled(), model_a.make_contiguous());
        assert_eq!(b.filled(), model_b.make_contiguous());
    }
    #[test]
    fn an_empty_queue_owns_no_storage() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.data.len(), 0);
        buffer.extend(b"ab");
        assert_eq!((buffer.data.len(), buffer.filled()), (BUFFER_BYTES, &b"ab"[..]));
        let storage = buffer.data.as_ptr();
        buffer.consume(2);
        assert_eq!(buffer.data.len(), 0);
        let mut next = Buffer::default();
        assert_eq!(next.space().as_ptr(), storage, "the pool hands out what was used last");
        next.release_if_empty();
        assert_eq!(next.data.len(), 0);
        // The storage of a single large message is not kept.
        next.extend(&vec![1; BUFFER_BYTES + 1]);
        next.consume(BUFFER_BYTES + 1);
        assert_eq!(next.space().len(), BUFFER_BYTES);
    }
}
