//! A part of a long list.

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only rows that contain this text, ignoring ASCII case.
    pub search: Option<String>,
    /// At most this many rows.
    pub limit: u32,
    /// Rows to leave out at the start.
    pub offset: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { search: None, limit: 100, offset: 0 }
    }
}

/// One page of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing<T> {
    /// How many rows there are on all pages.
    pub count: u64,
    /// The rows of this page.
    pub rows: Vec<T>,
}
