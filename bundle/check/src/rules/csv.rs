//! Names, versions and prose of the ClusterServiceVersion.

mod icon;
mod prose;
mod version;

use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[
    Rule::error("csv/name", version::name)
        .holds("metadata.name is a DNS subdomain of at most 63 characters.")
        .why("OLM uses it as a label value too, and those end at 63 characters."),
    Rule::error("csv/version", version::version)
        .holds("spec.version is a semantic version, and metadata.name is <name>.v<version> with the same version.")
        .why("Upgrades go by the version, users by the name; no upstream validator compares them."),
    Rule::error("csv/replaces", version::replaces)
        .holds("spec.replaces and spec.skips name neither this version nor a newer one, and the range of olm.skipRange ends at this \
                version.")
        .why("An upgrade that leads to itself or downwards is never found; upstream validators let it pass."),
    Rule::error("csv/min-kube-version", version::min_kube_version)
        .holds("spec.minKubeVersion, where it is given, is a full semantic version without a v.")
        .why("OLM can't compare anything else, and refuses the install."),
    Rule::warning("csv/oldest-kubernetes", version::oldest_kubernetes)
        .holds("spec.minKubeVersion is given, and is not older than the fields that the manifests use.")
        .why("An older API server drops the field without a word: a budget's unhealthyPodEvictionPolicy, a schema's CEL rules."),
    Rule::error("csv/required", prose::required)
        .holds("apiVersion, displayName, install.strategy deployment, at least one Deployment and one supported install mode are there.")
        .why("Otherwise OLM can't install it."),
    Rule::error("csv/prose", prose::prose)
        .holds("Description (20 characters or more), display name (3 to 50), provider, maintainers with name and address, links with \
                name and URL are there.")
        .why("Catalogs refuse a bundle that says less about itself."),
    Rule::warning("csv/keywords", prose::keywords)
        .holds("spec.keywords and spec.maturity are there.")
        .why("Users search and filter by them."),
    Rule::error("csv/icon", icon::icon)
        .holds("There is exactly one icon, in base64, and it is what its media type says: SVG, PNG, JPEG or GIF.")
        .why("Catalogs refuse a bundle without; a picture that does not decode is shown as a broken one."),
    Rule::error("csv/annotation-values", prose::annotation_values)
        .holds("The annotations capabilities, categories, containerImage, createdAt and repository, where given, have values that \
                catalogs take.")
        .why("Capability levels and categories come from fixed lists, the others from patterns; catalogs refuse anything else."),
    Rule::warning("csv/annotations", prose::annotations)
        .holds("The annotations capabilities, categories, containerImage, createdAt, description, repository and support are there.")
        .why("It is what catalogs show of an operator."),
    Rule::warning("csv/features", prose::features)
        .holds("The seven annotations features.operators.openshift.io/… that OpenShift requires are there, as \"true\" or \"false\".")
        .why("Certification asks for them, and users filter by them."),
];
