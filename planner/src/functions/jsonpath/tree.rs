//! A path as it is run.

#[derive(Debug)]
pub(super) struct Path {
    /// Arrays are taken apart and made where the path needs them, and what is not there is no error.
    pub lax: bool,
    pub steps: Chain,
}

/// An item and the accessors behind it, never empty.
pub(super) type Chain = Vec<Step>;

#[derive(Debug)]
pub(super) enum Step {
    /// As the text of a jsonb.
    Literal(String),
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    Member(String),
    /// `.*`
    AnyMember,
    /// `[*]`
    AnyElement,
    Elements(Vec<Subscript>),
    /// `.**{first to last}`; `last` is [`LEAVES`].
    Anywhere {
        first: u32,
        last: u32,
    },
    Filter(Condition),
    /// What becomes of a condition, as a value.
    Truth(Condition),
    Arithmetic(Arithmetic, Chain, Chain),
    Signed {
        minus: bool,
        of: Chain,
    },
    Method(Method),
}

/// The level of what is no container, however deep.
pub(super) const LEAVES: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Subscript {
    pub from: Chain,
    pub to: Option<Chain>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Type,
    Size,
    Abs,
    Floor,
    Ceiling,
    Convert(Conversion),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Conversion {
    Double,
    /// From here on since 17.
    Bigint,
    Integer,
    Number,
    Boolean,
    String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

#[derive(Debug)]
pub(super) enum Condition {
    Both(Box<[Condition; 2]>),
    Either(Box<[Condition; 2]>),
    Not(Box<Condition>),
    IsUnknown(Box<Condition>),
    Compare(Comparison, Chain, Chain),
    StartsWith(Chain, Chain),
    LikeRegex { of: Chain, pattern: String, flags: u32 },
    Exists(Chain),
}
