//! What `regexp_replace` puts in a match's place (`appendStringInfoRegexpSubstr` of varlena.c).

/// A piece of it.
pub(super) enum Piece<'t> {
    Text(&'t str),
    /// `\&`.
    Whole,
    /// `\1` to `\9`.
    Group(usize),
}

impl Piece<'_> {
    pub fn all(by: &str) -> Vec<Piece<'_>> {
        let (mut pieces, mut rest) = (Vec::new(), by);
        while let Some(at) = rest.find('\\') {
            pieces.push(Piece::Text(&rest[..at]));
            let taken = match rest[at + 1..].chars().next() {
                Some(digit @ '1'..='9') => {
                    pieces.push(Piece::Group(digit as usize - '0' as usize));
                    2
                }
                Some('&') => {
                    pieces.push(Piece::Whole);
                    2
                }
                Some('\\') => {
                    pieces.push(Piece::Text("\\"));
                    2
                }
                // Before anything else it is a character like any other.
                _ => {
                    pieces.push(Piece::Text("\\"));
                    1
                }
            };
            rest = &rest[at + taken..];
        }
        pieces.push(Piece::Text(rest));
        pieces
    }
}
