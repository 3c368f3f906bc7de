//! The kind's names and the rules for what was stored before the schema had them.
