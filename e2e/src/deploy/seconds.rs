//! Times in whole seconds, as election settings are.

use std::str::FromStr;

/// Whole seconds above 0, such as `15s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u32);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = || format!("{text:?} must be a whole number of seconds above 0, such as 15s");
        let time = humantime::parse_duration(text).map_err(|_| rule())?;
        let seconds = u32::try_from(time.as_secs()).map_err(|_| rule())?;
        if seconds == 0 || time.subsec_nanos() != 0 {
            return Err(rule());
        }
        Ok(Self(seconds))
    }
}
