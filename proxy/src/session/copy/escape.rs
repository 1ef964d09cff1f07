//! Images of values as COPY's two text formats write them.

/// `CopyAttributeOutText` in `copyto.c`.
pub(in crate::session) fn text(image: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    for byte in image {
        let escaped = match byte {
            b'\x08' => b'b',
            b'\x0c' => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            b'\x0b' => b'v',
            b'\\' => b'\\',
            byte if *byte == delimiter => delimiter,
            plain => {
                out.push(*plain);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escaped]);
    }
}

/// How `csv` tells a value from its surroundings.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Csv<'a> {
    pub delimiter: u8,
    pub quote: u8,
    pub escape: u8,
    /// What stands for NULL.
    pub null: &'a [u8],
    /// The row has no other column: `\.` would be the end of the data.
    pub is_alone: bool,
}

impl Csv<'_> {
    /// `CopyAttributeOutCSV` in `copyto.c`.
    pub fn write(&self, image: &[u8], force_quote: bool, out: &mut Vec<u8>) {
        let special = |byte: &u8| *byte == self.delimiter || *byte == self.quote || matches!(byte, b'\n' | b'\r');
        let is_quoted =
            force_quote || image == self.null || (self.is_alone && image == b"\\.") || image.iter().any(special);
        if !is_quoted {
            out.extend_from_slice(image);
            return;
        }
        out.push(self.quote);
        for byte in image {
            if *byte == self.quote || *byte == self.escape {
                out.push(self.escape);
            }
            out.push(*byte);
        }
        out.push(self.quote);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_escaped_as_copy_escapes_them() {
        let mut plain = Vec::new();
        text(b"a\\b\tc\nd\re\x08\x0b\x0c'\"|\x01", b'|', &mut plain);
        assert_eq!(plain, b"a\\\\b\\tc\\nd\\re\\b\\v\\f'\"\\|\x01");
        let csv = Csv { delimiter: b',', quote: b'"', escape: b'"', null: b"", is_alone: true };
        let odd = Csv { quote: b'\'', escape: b'\\', null: b"nil", is_alone: false, ..csv };
        for (how, image, expected) in [
            (csv, "a b", "a b"),
            (csv, "", "\"\""),
            (csv, "a,b", "\"a,b\""),
            (csv, "a\"b\n", "\"a\"\"b\n\""),
            (csv, "\\.", "\"\\.\""),
            (odd, "\\.", "\\."),
            (odd, "", ""),
            (odd, "nil", "'nil'"),
            (odd, "a\\'\"", "'a\\\\\\'\"'"),
        ] {
            let mut written = Vec::new();
            how.write(image.as_bytes(), false, &mut written);
            assert_eq!(written, expected.as_bytes(), "{image}");
        }
    }
}
