//! A byte queue between a socket and the router: read at one end, consumed at the other, without allocating while
//! messages stay small.

/// What a buffer starts with and shrinks back to: large enough for several small messages or one page of a result per
/// system call, small enough for thousands of sessions.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Initialised storage with the filled part between `head` and `tail`.
#[derive(Debug)]
pub struct Buffer {
    data: Vec<u8>,
    head: usize,
    tail: usize,
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer { data: vec![0; BUFFER_BYTES], head: 0, tail: 0 }
    }
}

impl Buffer {
    /// A placeholder without storage, for taking a buffer out of its owner for a moment.
    pub fn unallocated() -> Buffer {
        Buffer { data: Vec::new(), head: 0, tail: 0 }
    }

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
        if self.head == self.tail {
            self.head = 0;
            self.tail = 0;
            if self.data.len() > 4 * BUFFER_BYTES {
                self.data = vec![0; BUFFER_BYTES];
            }
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
        if self.head > 0 && self.len() + n <= self.data.len() {
            self.data.copy_within(self.head..self.tail, 0);
        } else if self.tail + n > self.data.len() {
            let mut grown = vec![0; (self.len() + n).max(2 * self.data.len())];
            grown[..self.tail - self.head].copy_from_slice(&self.data[self.head..self.tail]);
            self.data = grown;
        } else {
            return;
        }
        self.tail -= self.head;
        self.head = 0;
    }

    pub fn extend(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.data[self.tail..self.tail + bytes.len()].copy_from_slice(bytes);
        self.tail += bytes.len();
    }

    /// Moves the first `n` bytes to the end of `to`; swaps storage instead of copying when that is the same.
    #[inline]
    pub fn move_to(&mut self, n: usize, to: &mut Buffer) {
        if n == self.len() && to.is_empty() {
            std::mem::swap(self, to);
            return;
        }
        to.extend(&self.filled()[..n]);
        self.consume(n);
    }
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
}
