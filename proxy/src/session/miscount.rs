//! The refusal of a Bind that brings another number of values than its statement has parameters, for an unnamed statement that
//! upstream cannot be given any more. Postgres raises it, in its language, for a statement of Weir's own that has another
//! number as well; here it is told of the client's.

use super::probe;
use crate::wire::frame::HEADER_BYTES;

/// What the error is to say in the place of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miscount {
    /// Values the client has brought.
    supplied: usize,
    /// Parameters of its statement.
    wanted: usize,
}

impl Miscount {
    /// `None`: the numbers agree.
    pub fn new(supplied: usize, wanted: usize) -> Option<Miscount> {
        (supplied != wanted).then_some(Miscount { supplied, wanted })
    }

    /// Values that Weir brings: not as many as its own statement has parameters.
    pub fn sent(self) -> usize {
        if self.supplied == probe::PARAMETERS { probe::PARAMETERS + 1 } else { self.supplied }
    }

    /// The whole message for the client; `None`: it is another error.
    pub fn told(self, error: &[u8]) -> Option<Vec<u8>> {
        let mut body = Vec::with_capacity(error.len());
        let mut is_it = false;
        for field in error.strip_suffix(b"\0")?.split_inclusive(|byte| *byte == 0) {
            match field.split_first() {
                Some((b'M', text)) => {
                    body.push(b'M');
                    body.extend_from_slice(&self.reworded(text)?);
                }
                Some((b'R', routine)) => {
                    is_it = routine == b"exec_bind_message\0";
                    body.extend_from_slice(field);
                }
                _ => body.extend_from_slice(field),
            }
        }
        body.push(0);
        let mut message = vec![b'E'];
        message.extend_from_slice(&((body.len() + HEADER_BYTES - 1) as u32).to_be_bytes());
        message.extend_from_slice(&body);
        is_it.then_some(message)
    }

    /// In any language it names the statement once, and both numbers.
    fn reworded(self, text: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(text).ok()?;
        let (before, after) = text.split_once(probe::NAME)?;
        let mut reworded = String::with_capacity(text.len());
        let mut rest = format!("{before}{after}");
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let end = rest[start..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| start + end);
            let said = match rest[start..end].parse::<usize>().ok()? {
                probe::PARAMETERS => self.wanted,
                number if number == self.sent() => self.supplied,
                _ => return None,
            };
            reworded.push_str(&rest[..start]);
            reworded.push_str(&said.to_string());
            rest.drain(..end);
        }
        reworded.push_str(&rest);
        Some(reworded.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_told_of_the_clients_statement() {
        let error = |text: &str, routine: &str| format!("SERROR\0C08P01\0M{text}\0R{routine}\0\0").into_bytes();
        for (supplied, wanted, said, told) in [
            (
                1,
                0,
                "bind message supplies 1 parameters, but prepared statement \"weir_probe\" requires 2",
                "bind message supplies 1 parameters, but prepared statement \"\" requires 0",
            ),
            (2, 1, "„weir_probe“ verlangt 2, nicht 3", "„“ verlangt 1, nicht 2"),
        ] {
            let miscount = Miscount::new(supplied, wanted).unwrap();
            let message = miscount.told(&error(said, "exec_bind_message")).unwrap();
            assert_eq!(&message[HEADER_BYTES..], error(told, "exec_bind_message"));
            assert_eq!(message.len(), u32::from_be_bytes(message[1..5].try_into().unwrap()) as usize + 1);
            assert_eq!(miscount.told(&error(said, "another")), None);
            assert_eq!(miscount.told(&error("the end", "exec_bind_message")), None);
        }
        assert_eq!(Miscount::new(2, 2), None);
    }
}
