//! `failover doctor`: what this machine has and lacks for a run, with a fix for each lack.

mod finding;
mod machine;

pub use self::finding::{Finding, Health};
use crate::cluster::{ClusterError, K3S_REPOSITORY, K3S_TAG, NODE_IMAGE, OPERATOR_IMAGE, image};
use crate::engine::{self, Engine};

/// Looks at the machine and says what would hinder a run.
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// Operator image that a run would use
    #[arg(long, value_name = "IMAGE", env = "FAILOVER_IMAGE", default_value = OPERATOR_IMAGE)]
    pub image: String,
    /// Version of k3s that a run would use
    #[arg(long, value_name = "TAG", env = "FAILOVER_K3S_TAG", default_value = K3S_TAG)]
    pub k3s_tag: String,
    /// Image of the provider `node` that a run would use
    #[arg(long, value_name = "IMAGE", env = "FAILOVER_NODE_IMAGE", default_value = NODE_IMAGE)]
    pub node_image: String,
}

/// A run is possible with these findings.
pub fn can_run(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.health != Health::Fail)
}

impl DoctorArgs {
    /// Looks at everything; what cannot be looked at without an engine is left out when there is none.
    pub async fn examine(&self) -> Vec<Finding> {
        let engine = match engine::probe().await {
            Ok(engine) => engine,
            Err(error) => {
                return vec![Finding::lack(
                    "engine",
                    Health::Fail,
                    error.to_string(),
                    "or let `failover engine --start` see to it",
                )];
            }
        };
        let facts = engine.facts();
        let mut findings = vec![
            Finding::ok(
                "engine",
                format!(
                    "{} at {} on {}",
                    facts.version, facts.address.text, facts.os
                ),
            ),
            machine::api(facts),
            machine::cgroup(facts, &self.k3s_tag),
            machine::rights(facts),
            machine::disk(facts),
            machine::memory(facts),
            machine::processors(facts),
            machine::kernel(facts),
            machine::kernel_log(facts),
            machine::packet_filter(facts),
        ];
        findings.extend(self.images(&engine).await);
        findings
    }

    async fn images(&self, engine: &Engine) -> Vec<Finding> {
        let k3s = self.k3s_image();
        let present = [&self.image, &self.node_image, &k3s]
            .map(|reference| image::find(engine.docker(), reference));
        let mut seen = Vec::new();
        for look in present {
            match look.await {
                Ok(found) => seen.push(found.is_some()),
                Err(error) => return vec![broken(&error)],
            }
        }
        let [has_operator, has_node, has_k3s] = seen[..] else {
            return Vec::new();
        };
        self.weigh_images(has_operator, has_node, has_k3s)
    }

    fn k3s_image(&self) -> String {
        format!("{K3S_REPOSITORY}:{}", self.k3s_tag)
    }

    fn weigh_images(&self, has_operator: bool, has_node: bool, has_k3s: bool) -> Vec<Finding> {
        let (operator, node, k3s) = (&self.image, &self.node_image, self.k3s_image());
        vec![
            // Not the machine's lack: it is made for a run, and a run that needs it and has none says so at its start.
            present_or(
                "operator image",
                operator,
                has_operator,
                Health::Warn,
                image::advice(operator),
            ),
            present_or(
                "node image",
                node,
                has_node,
                Health::Warn,
                if has_k3s {
                    "not needed as long as k3s is used"
                } else {
                    "build it with `just node` where k3s cannot be pulled"
                },
            ),
            present_or(
                "k3s image",
                &k3s,
                has_k3s,
                Health::Warn,
                "a run tries to pull it and uses the node image where it cannot",
            ),
        ]
    }
}

fn broken(error: &ClusterError) -> Finding {
    Finding::lack(
        "images",
        Health::Fail,
        error.to_string(),
        "look into the engine's log",
    )
}

fn present_or(
    subject: &'static str,
    reference: &str,
    present: bool,
    lacking: Health,
    fix: &'static str,
) -> Finding {
    if present {
        Finding::ok(subject, format!("{reference} is present"))
    } else {
        Finding::lack(subject, lacking, format!("{reference} is not present"), fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_prevents_a_run_makes_it_impossible() {
        let warn = Finding::lack("cgroup", Health::Warn, "", "");
        let fail = Finding::lack("engine", Health::Fail, "", "");
        assert!(can_run(std::slice::from_ref(&warn)));
        assert!(!can_run(&[warn, fail]));
    }

    #[rstest::rstest]
    #[case(OPERATOR_IMAGE, "`just image`")]
    #[case("example/manager:2", "build or pull it")]
    fn a_machine_without_an_operator_image_yet_can_run(
        #[case] operator: &str,
        #[case] advice: &str,
    ) {
        let doctor = DoctorArgs {
            image: operator.to_owned(),
            k3s_tag: K3S_TAG.to_owned(),
            node_image: NODE_IMAGE.to_owned(),
        };
        let findings = doctor.weigh_images(false, true, true);
        assert!(can_run(&findings), "{findings:?}");
        assert!(
            findings[0].health == Health::Warn && findings[0].fix.contains(advice),
            "{findings:?}"
        );
    }

    #[test]
    fn a_lack_is_shown_with_its_fix_on_one_line() {
        let line = present_or(
            "operator image",
            "x:1",
            false,
            Health::Fail,
            "build it with `just image`",
        )
        .to_string();
        assert_eq!(
            line,
            "FAIL operator image  x:1 is not present; build it with `just image`"
        );
    }
}
