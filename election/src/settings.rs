//! Which Lease it is, what its settings are called, and how a setting is refused.

use std::fmt::Display;

/// A setting that breaks a rule. The message names the setting, its value and the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value:?}: {rule}")]
pub struct InvalidSetting {
    /// What the caller calls it: see [`SettingNames`].
    pub setting: &'static str,
    /// What it was set to; empty where it is missing.
    pub value: String,
    /// What it must be.
    pub rule: String,
}

/// What the caller calls the settings, such as its environment variables: errors and log lines name them so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingNames {
    /// The name of the Lease.
    pub lease: &'static str,
    /// The namespace of the Lease.
    pub namespace: &'static str,
    /// The lease duration.
    pub duration: &'static str,
    /// The renew deadline.
    pub renew_deadline: &'static str,
    /// The retry period.
    pub retry_period: &'static str,
    /// The path of the termination log.
    pub termination_log: &'static str,
    /// The address that hints are offered at.
    pub hints: &'static str,
}

/// Name and namespace of a Lease, both legal in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseName {
    name: String,
    namespace: String,
}

impl InvalidSetting {
    /// `setting` is `value`, which `rule` forbids.
    pub fn new(setting: &'static str, value: impl Display, rule: impl Into<String>) -> Self {
        Self {
            setting,
            value: value.to_string(),
            rule: rule.into(),
        }
    }
}

impl Default for SettingNames {
    /// The names of the builder's methods and of their parameters.
    fn default() -> Self {
        Self {
            lease: "lease",
            namespace: "namespace",
            duration: "duration",
            renew_deadline: "renew_deadline",
            retry_period: "retry_period",
            termination_log: "termination_log",
            hints: "hints",
        }
    }
}

impl LeaseName {
    /// Checks both.
    ///
    /// # Errors
    /// Names the one that Kubernetes would refuse, as `names` calls it.
    pub fn new(name: &str, namespace: &str, names: &SettingNames) -> Result<Self, InvalidSetting> {
        if !is_dns_subdomain(name) {
            let rule = "must be a DNS-1123 subdomain: lower-case letters, digits, '-' and '.', at most 253 characters";
            return Err(InvalidSetting::new(names.lease, name, rule));
        }
        if !is_dns_subdomain(namespace) || namespace.contains('.') || namespace.len() > 63 {
            let rule = "must be the name of a namespace: lower-case letters, digits and '-', at most 63 characters";
            return Err(InvalidSetting::new(names.namespace, namespace, rule));
        }
        Ok(Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        })
    }

    /// Name of the Lease.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Namespace of the Lease, which is the pod's own.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

fn is_dns_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty("", "n", "lease")]
    #[case::upper("Leader", "n", "lease")]
    #[case::slash("a/b", "n", "lease")]
    #[case::dash("-a", "n", "lease")]
    #[case::namespace_dot("a", "n.m", "namespace")]
    #[case::namespace_empty("a", "", "namespace")]
    fn names_that_kubernetes_refuses_are_refused_at_start(
        #[case] name: &str,
        #[case] namespace: &str,
        #[case] setting: &str,
    ) {
        let refused = LeaseName::new(name, namespace, &SettingNames::default());
        assert_eq!(refused.unwrap_err().setting, setting);
    }
}
