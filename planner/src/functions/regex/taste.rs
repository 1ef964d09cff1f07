//! Whether a part of a pattern takes as much as it can or as little (section 9.7.3.5 of the manual; `LONGER`, `SHORTER` and
//! `MIXED` of regguts.h).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taste {
    Greedy,
    Lazy,
}

/// What is known of a part: its own taste, and whether something in it must be found by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// That of its first quantifier that has one.
    pub taste: Option<Taste>,
    /// There are parts of both tastes in it.
    pub is_mixed: bool,
    pub has_captures: bool,
    /// A match of it may have to be another one for a back reference in it.
    pub has_backs: bool,
}

impl Traits {
    pub fn of(taste: Option<Taste>) -> Traits {
        Traits { taste, ..Traits::default() }
    }

    /// Of one behind the other.
    pub fn then(self, next: Traits) -> Traits {
        let clash = matches!((self.taste, next.taste), (Some(one), Some(other)) if one != other);
        Traits {
            taste: self.taste.or(next.taste),
            is_mixed: self.is_mixed || next.is_mixed || clash,
            has_captures: self.has_captures || next.has_captures,
            has_backs: self.has_backs || next.has_backs,
        }
    }

    /// A match of it is known by its ends alone.
    pub fn is_plain(self) -> bool {
        !self.is_mixed && !self.has_captures && !self.has_backs
    }
}
