//! The session settings that can change a result or its rendering.

/// A set of settings a plan depends on; memory answers only readers whose values equal the creator's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SettingSet(pub u16);

impl SettingSet {
    pub const NONE: SettingSet = SettingSet(0);
    pub const TIME_ZONE: SettingSet = SettingSet(1);
    pub const DATE_STYLE: SettingSet = SettingSet(2);
    pub const INTERVAL_STYLE: SettingSet = SettingSet(4);
    pub const EXTRA_FLOAT_DIGITS: SettingSet = SettingSet(8);
    pub const BYTEA_OUTPUT: SettingSet = SettingSet(16);
    /// The transaction's clock (`now()` and relatives).
    pub const CLOCK: SettingSet = SettingSet(32);

    pub fn union(self, other: SettingSet) -> SettingSet {
        SettingSet(self.0 | other.0)
    }
    pub fn contains(self, other: SettingSet) -> bool {
        self.0 & other.0 == other.0
    }
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Values of those settings, in the spelling `SHOW` gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    pub time_zone: String,
    pub date_style: String,
    pub interval_style: String,
    pub extra_float_digits: i32,
    /// `hex` or `escape`.
    pub bytea_output: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            time_zone: "UTC".into(),
            date_style: "ISO, MDY".into(),
            interval_style: "postgres".into(),
            extra_float_digits: 1,
            bytea_output: "hex".into(),
        }
    }
}
