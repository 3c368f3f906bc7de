//! The steps of a goal, read from what `just --dump` prints: recipes, what they depend on, and their metadata.

use std::{collections::BTreeMap, fmt};

/// What limits how many steps run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Says whether the machine has something. All of these run before anything else.
    Need,
    /// Starts something that stays, or puts an image together. Runs at normal priority.
    Service,
    /// Cargo in `target/`, which one process can use at a time.
    Rust,
    /// Cargo in `target/static`, likewise.
    Static,
    /// Go. Its linker, at the end of each build, uses one core.
    Go,
    /// Debian's package manager, which refuses a second one.
    Apt,
    /// Anything else that computes or downloads.
    Other,
    /// Tests that measure on clusters. They wait most of the time and run at normal priority.
    Cluster,
}

impl Class {
    const NAMES: [(&'static str, Self); 8] = [
        ("need", Self::Need),
        ("service", Self::Service),
        ("rust", Self::Rust),
        ("static", Self::Static),
        ("go", Self::Go),
        ("apt", Self::Apt),
        ("other", Self::Other),
        ("cluster", Self::Cluster),
    ];

    /// How many steps of the class may run at once.
    pub(crate) fn limit(self) -> usize {
        match self {
            Self::Cluster | Self::Go => 2,
            Self::Other => 3,
            _ => 1,
        }
    }

    /// Whether a step has to wait for every other one of its class, or only for those that are as urgent.
    pub(crate) fn is_strict(self) -> bool {
        !matches!(self, Self::Go | Self::Other)
    }

    /// The nice value of steps of the class. What measures comes first, where the user may say so; what starts something
    /// that stays is as nice as that is to be; of the rest, what much else waits for comes before what nothing waits for.
    pub(crate) fn nice(self, is_urgent: bool) -> i8 {
        match self {
            Self::Cluster => -8,
            Self::Service => 0,
            _ if is_urgent => 4,
            _ => 12,
        }
    }
}

/// One recipe that has commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) class: Class,
    /// Seconds that it takes on two cores when nothing is built.
    pub(crate) usual: u64,
    /// Indices of the steps that it needs; all of them are lower than its own.
    pub(crate) after: Vec<usize>,
}

/// Why the justfile can't be run in steps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GraphError {
    NoRecipe(String),
    NoStep(String),
    BadStep {
        recipe: String,
        attribute: String,
    },
    Arguments {
        recipe: String,
        dependencies: String,
    },
}

impl fmt::Display for GraphError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecipe(name) => write!(formatter, "the justfile has no recipe {name}"),
            Self::NoStep(name) => write!(
                formatter,
                "recipe {name} has commands and no [metadata('step', CLASS, SECONDS)]"
            ),
            Self::BadStep { recipe, attribute } => {
                let names = Class::NAMES.map(|(name, _)| name).join(", ");
                write!(
                    formatter,
                    "recipe {recipe}: {attribute}: expected [metadata('step', CLASS, SECONDS)] with a class of {names}"
                )
            }
            Self::Arguments {
                recipe,
                dependencies,
            } => write!(
                formatter,
                "recipe {recipe} depends on {dependencies}: a step takes no arguments"
            ),
        }
    }
}

/// A recipe as it stands in the dump.
#[derive(Debug, Default)]
struct Recipe {
    step: Option<String>,
    dependencies: String,
    has_commands: bool,
}

/// The steps that `goal` needs, each after those that it depends on.
pub(crate) fn steps(dump: &str, goal: &str) -> Result<Vec<Step>, GraphError> {
    let recipes = recipes(dump);
    let mut walk = Walk {
        recipes: &recipes,
        steps: Vec::new(),
        done: BTreeMap::new(),
    };
    walk.visit(goal)?;
    Ok(walk.steps)
}

fn recipes(dump: &str) -> BTreeMap<&str, Recipe> {
    let mut recipes: BTreeMap<&str, Recipe> = BTreeMap::new();
    let mut current = None;
    let mut step = None;
    for line in dump.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some(recipe) = current.and_then(|name| recipes.get_mut(name)) {
                recipe.has_commands = true;
            }
        } else if line.starts_with("[metadata('step'") {
            step = Some(line.to_owned());
        } else if let Some((name, dependencies)) = header(line) {
            let recipe = Recipe {
                step: step.take(),
                dependencies: dependencies.to_owned(),
                has_commands: false,
            };
            recipes.insert(name, recipe);
            current = Some(name);
        }
    }
    recipes
}

/// Name and dependencies of a line that begins a recipe.
fn header(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix('@').unwrap_or(line);
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || ["set", "alias", "export", "import", "mod"].contains(&name) {
        return None;
    }
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if ['\'', '"', '`'].contains(&c) => quote = Some(c),
            None if c == ':' => {
                let dependencies = &rest[at + 1..];
                return (!dependencies.starts_with('=')).then_some((name, dependencies.trim()));
            }
            Some(_) | None => {}
        }
    }
    None
}

struct Walk<'a> {
    recipes: &'a BTreeMap<&'a str, Recipe>,
    steps: Vec<Step>,
    /// What stands for a recipe: its own step, or those of its dependencies where it has no commands.
    done: BTreeMap<String, Vec<usize>>,
}

impl Walk<'_> {
    fn visit(&mut self, name: &str) -> Result<Vec<usize>, GraphError> {
        if let Some(done) = self.done.get(name) {
            return Ok(done.clone());
        }
        let recipe = self.recipes.get(name);
        let recipe = recipe.ok_or_else(|| GraphError::NoRecipe(name.to_owned()))?;
        if recipe.dependencies.contains(['(', '&']) {
            return Err(GraphError::Arguments {
                recipe: name.to_owned(),
                dependencies: recipe.dependencies.clone(),
            });
        }
        let mut after = Vec::new();
        for dependency in recipe.dependencies.split_whitespace() {
            after.extend(self.visit(dependency)?);
        }
        after.sort_unstable();
        after.dedup();
        let stands_for = if recipe.has_commands {
            let (class, usual) = step(name, recipe.step.as_deref())?;
            self.steps.push(Step {
                name: name.to_owned(),
                class,
                usual,
                after,
            });
            vec![self.steps.len() - 1]
        } else {
            after
        };
        self.done.insert(name.to_owned(), stands_for.clone());
        Ok(stands_for)
    }
}

fn step(recipe: &str, attribute: Option<&str>) -> Result<(Class, u64), GraphError> {
    let attribute = attribute.ok_or_else(|| GraphError::NoStep(recipe.to_owned()))?;
    let words: Vec<&str> = attribute.split('\'').skip(1).step_by(2).collect();
    let read = || {
        let [_, class, seconds] = words[..] else {
            return None;
        };
        let (_, class) = Class::NAMES.into_iter().find(|(name, _)| *name == class)?;
        Some((class, seconds.parse().ok()?))
    };
    read().ok_or_else(|| GraphError::BadStep {
        recipe: recipe.to_owned(),
        attribute: attribute.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
set shell := [\"sh\", \"-eu\", \"-c\"]
version := `sed -n 's/a: b/c/p' Cargo.toml`
image := \"a:b\" + version

# All of it
all *options: tests lint

tests: unit cluster-test

[metadata('step', 'rust', '60')]
unit: binaries
    cargo test: here

[group('test')]
[metadata('step', 'cluster', '300')]
cluster-test flag=':': binaries image
    #!/bin/sh
    run

[metadata('step', 'rust', '170')]
[private]
binaries:
    cargo build

[metadata('step', 'static', '30')]
image: binaries
    docker build

lint:
    cargo clippy
";

    #[test]
    fn a_step_comes_after_those_that_it_needs_and_only_once() {
        let steps = steps(DUMP, "tests").unwrap();
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["binaries", "unit", "image", "cluster-test"]);
        assert_eq!(steps[3].after, [0, 2]);
        assert_eq!((steps[3].class, steps[3].usual), (Class::Cluster, 300));
    }

    #[test]
    fn what_cannot_be_a_step_is_refused_by_name() {
        assert_eq!(
            steps(DUMP, "all"),
            Err(GraphError::NoStep("lint".to_owned()))
        );
        assert_eq!(
            steps(DUMP, "none"),
            Err(GraphError::NoRecipe("none".to_owned()))
        );
        let arguments = "a: (b 'c')\n    true\n";
        assert!(matches!(
            steps(arguments, "a"),
            Err(GraphError::Arguments { .. })
        ));
        let class = "[metadata('step', 'cargo', '1')]\na:\n    true\n";
        let refused = steps(class, "a").unwrap_err().to_string();
        assert!(
            refused.contains("recipe a: [metadata('step', 'cargo', '1')]"),
            "{refused}"
        );
    }

    #[test]
    fn the_projects_own_justfile_has_a_step_for_each_recipe_that_its_goals_need() {
        let justfile = include_str!("../../../justfile");
        for goal in ["e2e-steps", "test-steps", "check-steps", "ci-steps"] {
            let steps = steps(justfile, goal).unwrap_or_else(|error| panic!("{goal}: {error}"));
            assert!(!steps.is_empty(), "{goal}");
        }
    }
}
