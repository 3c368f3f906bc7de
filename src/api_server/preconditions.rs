//! The rule that every write but a create names the object, and the version of it, that it was made from.
//!
//! Admission, and with it the fence, comes before the write is stored, so a write may take effect after another replica has
//! taken the Lease. With its preconditions it is refused where that one has written meanwhile. So a write without them is a
//! mistake of whoever sends it, whatever the test is about, and a panic here.
//!
//! The answers are those of the API server 1.34: a stale version is a conflict before anything else is looked at; another
//! UID in a patch is an attempt to change an immutable field (`ValidateObjectMetaUpdate`), and in a patch of the status it
//! is thrown away with the rest of the metadata (`PrepareForUpdate` of the status of custom resources).

use serde_json::Value;

/// What a write was made from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Preconditions<'a> {
    uid: Option<&'a str>,
    version: Option<&'a str>,
    /// What the answer is where the UID is another one.
    other_uid: u16,
}

impl<'a> Preconditions<'a> {
    /// Those of a merge patch.
    pub(super) fn of_patch(patch: &'a Value) -> Self {
        Self {
            uid: Some(needed(&patch["metadata"], "uid")),
            version: Some(needed(&patch["metadata"], "resourceVersion")),
            other_uid: 422,
        }
    }

    /// Those of a patch of the status, merged or applied.
    pub(super) fn of_status(patch: &'a Value) -> Self {
        Self {
            uid: None,
            ..Self::of_patch(patch)
        }
    }

    /// Those of a deletion.
    pub(super) fn of_delete(options: &'a Value) -> Self {
        let preconditions = &options["preconditions"];
        Self {
            uid: Some(needed(preconditions, "uid")),
            version: Some(needed(preconditions, "resourceVersion")),
            other_uid: 409,
        }
    }

    /// Those of an eviction. No version: nobody here writes to pods, so there is nothing that a late one could undo.
    pub(super) fn of_eviction(eviction: &'a Value) -> Self {
        let preconditions = &eviction["deleteOptions"]["preconditions"];
        Self {
            uid: Some(needed(preconditions, "uid")),
            version: None,
            other_uid: 409,
        }
    }

    /// The code that the API server refuses with, if `object` is not what the write was made from.
    pub(super) fn refusal(&self, object: &Value) -> Option<u16> {
        let is_other = |wanted: Option<&str>, field: &str| {
            wanted.is_some_and(|wanted| object["metadata"][field] != wanted)
        };
        if is_other(self.version, "resourceVersion") {
            return Some(409);
        }
        is_other(self.uid, "uid").then_some(self.other_uid)
    }
}

fn needed<'a>(of: &'a Value, field: &str) -> &'a str {
    let found = of[field].as_str().filter(|text| !text.is_empty());
    found.unwrap_or_else(|| panic!("a write without the {field} that it was made from: {of}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn object() -> Value {
        json!({"metadata": {"uid": "u", "resourceVersion": "7"}})
    }

    #[rstest]
    #[case::the_same("u", "7", [None, None, None])]
    #[case::changed_since("u", "6", [Some(409), Some(409), Some(409)])]
    #[case::made_anew("t", "6", [Some(409), Some(409), Some(409)])]
    #[case::of_another_uid("t", "7", [Some(422), None, Some(409)])]
    fn a_write_is_refused_unless_the_object_is_what_it_was_made_from(
        #[case] uid: &str,
        #[case] version: &str,
        #[case] refusals: [Option<u16>; 3],
    ) {
        let patch = json!({"metadata": {"uid": uid, "resourceVersion": version}});
        let options = json!({"preconditions": {"uid": uid, "resourceVersion": version}});
        let of_all = [
            Preconditions::of_patch(&patch),
            Preconditions::of_status(&patch),
            Preconditions::of_delete(&options),
        ];
        assert_eq!(of_all.map(|of| of.refusal(&object())), refusals);
    }

    #[test]
    fn an_eviction_is_refused_for_another_pod_only() {
        let eviction = |uid: &str| json!({"deleteOptions": {"preconditions": {"uid": uid}}});
        assert_eq!(
            Preconditions::of_eviction(&eviction("u")).refusal(&object()),
            None
        );
        assert_eq!(
            Preconditions::of_eviction(&eviction("t")).refusal(&object()),
            Some(409)
        );
    }

    #[rstest]
    #[case::of_the_uid(json!({"resourceVersion": "7"}))]
    #[case::of_the_version(json!({"uid": "u"}))]
    #[case::of_the_version_being_empty(json!({"uid": "u", "resourceVersion": ""}))]
    fn a_write_for_want_of_one_is_a_panic(#[case] given: Value) {
        let patch = json!({"metadata": given});
        let options = json!({"preconditions": given});
        for write in [
            std::panic::catch_unwind(|| Preconditions::of_patch(&patch).version.is_some()),
            std::panic::catch_unwind(|| Preconditions::of_status(&patch).version.is_some()),
            std::panic::catch_unwind(|| Preconditions::of_delete(&options).version.is_some()),
        ] {
            assert!(write.is_err(), "{given}");
        }
        assert!(
            std::panic::catch_unwind(|| Preconditions::of_eviction(&json!({})).uid.is_some())
                .is_err()
        );
    }
}
