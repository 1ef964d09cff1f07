//! Typed access to the fields of a node, by name. An absent field is an error that names it: a tree of another shape
//! than expected is refused, never guessed.

use super::{Node, Tree};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tree node {label} has no usable field {field}: {problem}")]
pub struct AccessError {
    pub label: String,
    pub field: String,
    pub problem: &'static str,
}

impl Tree {
    pub fn as_node(&self) -> Option<&Node> {
        match self {
            Tree::Node(node) => Some(node),
            _ => None,
        }
    }

    /// A list's items; null, and anything that is no list, has none.
    pub fn items(&self) -> &[Tree] {
        match self {
            Tree::List(items) => items,
            _ => &[],
        }
    }
}

impl Node {
    /// The field's value, if the node has such a field.
    pub fn find(&self, field: &str) -> Option<&Tree> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    fn error(&self, field: &str, problem: &'static str) -> AccessError {
        AccessError { label: self.label.clone(), field: field.to_owned(), problem }
    }

    pub fn field(&self, field: &str) -> Result<&Tree, AccessError> {
        self.find(field).ok_or_else(|| self.error(field, "absent"))
    }

    /// A number: integer, OID, enum.
    pub fn int(&self, field: &str) -> Result<i64, AccessError> {
        match self.field(field)? {
            Tree::Word(word) => word.parse().map_err(|_| self.error(field, "not a number")),
            _ => Err(self.error(field, "not a number")),
        }
    }

    pub fn oid(&self, field: &str) -> Result<u32, AccessError> {
        u32::try_from(self.int(field)?).map_err(|_| self.error(field, "not an OID"))
    }

    pub fn int32(&self, field: &str) -> Result<i32, AccessError> {
        i32::try_from(self.int(field)?).map_err(|_| self.error(field, "out of range"))
    }

    /// A non-negative number.
    pub fn index(&self, field: &str) -> Result<usize, AccessError> {
        usize::try_from(self.int(field)?).map_err(|_| self.error(field, "negative"))
    }

    pub fn bool(&self, field: &str) -> Result<bool, AccessError> {
        match self.field(field)? {
            Tree::Word(word) if word == "true" => Ok(true),
            Tree::Word(word) if word == "false" => Ok(false),
            _ => Err(self.error(field, "not a boolean")),
        }
    }

    /// A boolean that some majors do not write; false there.
    pub fn flag(&self, field: &str) -> Result<bool, AccessError> {
        if self.find(field).is_some() { self.bool(field) } else { Ok(false) }
    }

    /// A character string; None for null.
    pub fn word(&self, field: &str) -> Result<Option<&str>, AccessError> {
        match self.field(field)? {
            Tree::Null => Ok(None),
            Tree::Word(word) => Ok(Some(word)),
            Tree::Text(text) => Ok(Some(text)),
            _ => Err(self.error(field, "not a string")),
        }
    }

    /// A child that must be there.
    pub fn child(&self, field: &str) -> Result<&Node, AccessError> {
        self.optional(field)?.ok_or_else(|| self.error(field, "null"))
    }

    /// A child or null.
    pub fn optional(&self, field: &str) -> Result<Option<&Node>, AccessError> {
        match self.field(field)? {
            Tree::Null => Ok(None),
            Tree::Node(node) => Ok(Some(node)),
            _ => Err(self.error(field, "not a node")),
        }
    }

    /// A list; null is the empty list, as in Postgres.
    pub fn list(&self, field: &str) -> Result<&[Tree], AccessError> {
        match self.field(field)? {
            Tree::Null => Ok(&[]),
            Tree::List(items) => Ok(items),
            _ => Err(self.error(field, "not a list")),
        }
    }

    /// A list of nodes.
    pub fn nodes(&self, field: &str) -> Result<Vec<&Node>, AccessError> {
        let items = self.list(field)?;
        items.iter().map(|item| item.as_node().ok_or_else(|| self.error(field, "holds something else"))).collect()
    }

    /// A list of integers or OIDs.
    pub fn numbers(&self, field: &str) -> Result<&[i64], AccessError> {
        match self.field(field)? {
            Tree::Null => Ok(&[]),
            Tree::Numbers(items) => Ok(items),
            _ => Err(self.error(field, "not a list of numbers")),
        }
    }
}
