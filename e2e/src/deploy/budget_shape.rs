//! Gives the operator's disruption budget another shape, so that each can be put to the test.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde_json::{Value, json};

use super::{Manifests, Target, is_a};
use failover_judging::report::BudgetShape;

const KIND: &str = "PodDisruptionBudget";

/// There is no disruption budget to shape.
#[derive(Debug, thiserror::Error)]
#[error(
    "--budget={shape}: the manifests have no {KIND} that selects the pods of Deployment {deployment}"
)]
pub struct NoBudget {
    shape: BudgetShape,
    deployment: String,
}

impl Manifests {
    /// Gives every disruption budget that selects the target's pods the rule that is asked for.
    pub fn shape_budget(&mut self, shape: BudgetShape, target: &Target) -> Result<(), NoBudget> {
        let Some(rule) = shape.rule() else {
            return Ok(());
        };
        let mut shaped = false;
        for object in &mut self.objects {
            let is_budget = is_a(object, KIND)
                && object
                    .metadata
                    .namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == target.namespace);
            let Some(spec) = object.data.get_mut("spec").filter(|_| is_budget) else {
                continue;
            };
            let Some(spec) = spec
                .as_object_mut()
                .filter(|spec| selects_target(spec.get("selector"), target))
            else {
                continue;
            };
            spec.remove("minAvailable");
            spec.remove("maxUnavailable");
            spec.insert(rule.to_owned(), json!(1));
            shaped = true;
        }
        if shaped {
            Ok(())
        } else {
            Err(NoBudget {
                shape,
                deployment: target.deployment.clone(),
            })
        }
    }
}

fn selects_target(selector: Option<&Value>, target: &Target) -> bool {
    let selector: Option<LabelSelector> =
        selector.and_then(|selector| serde_json::from_value(selector.clone()).ok());
    selects(selector.as_ref(), &target.selector)
}

/// Whether a budget's selector selects pods with these labels: an empty one of policy/v1 selects every pod, a missing one
/// none.
pub(crate) fn selects(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_some_and(|selector| {
        Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
    })
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::deploy::tests::target;

    fn manifests(app: &str) -> Manifests {
        let budget = json!({
            "apiVersion": "policy/v1", "kind": KIND, "metadata": {"name": "b", "namespace": "5spot-system"},
            "spec": {"minAvailable": "50%", "unhealthyPodEvictionPolicy": "AlwaysAllow",
                     "selector": {"matchLabels": {"app": app}}},
        });
        Manifests {
            objects: vec![serde_json::from_value(budget).unwrap()],
        }
    }

    #[rstest::rstest]
    #[case(BudgetShape::MinAvailable1, json!({"minAvailable": 1}))]
    #[case(BudgetShape::MaxUnavailable1, json!({"maxUnavailable": 1}))]
    #[case(BudgetShape::AsIs, json!({"minAvailable": "50%"}))]
    fn the_rule_is_replaced_and_nothing_else(#[case] shape: BudgetShape, #[case] rule: Value) {
        let mut manifests = manifests("5spot-controller");
        manifests.shape_budget(shape, &target()).unwrap();
        let mut spec = manifests.objects[0].data["spec"].clone();
        let spec = spec.as_object_mut().unwrap();
        assert!(spec.remove("unhealthyPodEvictionPolicy").is_some());
        assert!(spec.remove("selector").is_some());
        assert_eq!(Value::from(spec.clone()), rule);
    }

    #[test]
    fn a_budget_for_other_pods_can_not_be_shaped() {
        let shape = BudgetShape::MaxUnavailable1;
        let error = manifests("other")
            .shape_budget(shape, &target())
            .unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("--budget=max-unavailable-1") && message.contains("5spot-controller"),
            "{message}"
        );
        assert!(
            manifests("other")
                .shape_budget(BudgetShape::AsIs, &target())
                .is_ok()
        );
    }

    #[rstest::rstest]
    #[case(BudgetShape::AsIs)]
    #[case(BudgetShape::MinAvailable1)]
    #[case(BudgetShape::MaxUnavailable1)]
    fn the_name_printed_is_the_name_typed(#[case] shape: BudgetShape) {
        let name = shape.to_possible_value().unwrap();
        assert_eq!(name.get_name(), shape.to_string());
        assert_eq!(serde_json::to_value(shape).unwrap(), shape.to_string());
    }
}
