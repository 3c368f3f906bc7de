//! Rules in CEL (`x-kubernetes-validations`), as the API server evaluates them when an object is created.
//!
//! A rule about a change (`oldSelf`) does not apply then. One that uses what only the API server has, such as its functions
//! for URLs or quantities, is told as not evaluated.

use std::{collections::HashMap, sync::Arc};

use cel::{Context, Env, ExecutionError, Value as Cel, extensions};
use serde_json::Value;

use super::fault::{Fault, properties};
use crate::document::escape;

/// What evaluating a rule gives.
enum Outcome {
    Kept,
    Broken(String),
    NotEvaluated(String),
}

pub(super) fn evaluate(schema: &Value, object: &Value, faults: &mut Vec<Fault>) {
    let mut env = Env::stdlib();
    if let Err(error) = env.add_extension(extensions::strings) {
        faults.push(Fault::NotEvaluated {
            path: String::new(),
            reason: format!("the functions for strings can't be added ({error})"),
        });
    }
    walk(&Arc::new(env), schema, object, "", faults);
}

fn walk(env: &Arc<Env>, schema: &Value, object: &Value, path: &str, faults: &mut Vec<Fault>) {
    if object.is_null() {
        return;
    }
    let rules = schema
        .get("x-kubernetes-validations")
        .and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        let path = path.to_owned();
        match judge(env, rule, schema, object) {
            Outcome::Kept => {}
            Outcome::Broken(reason) => faults.push(Fault::Rule { path, reason }),
            Outcome::NotEvaluated(reason) => faults.push(Fault::NotEvaluated { path, reason }),
        }
    }
    match object {
        Value::Object(fields) => {
            for (name, property) in properties(schema) {
                if let Some(field) = fields.get(name) {
                    walk(
                        env,
                        property,
                        field,
                        &format!("{path}/{}", escape(name)),
                        faults,
                    );
                }
            }
            if let Some(additional) = schema.get("additionalProperties") {
                for (name, field) in fields {
                    walk(
                        env,
                        additional,
                        field,
                        &format!("{path}/{}", escape(name)),
                        faults,
                    );
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    walk(env, schema, item, &format!("{path}/{index}"), faults);
                }
            }
        }
        _ => {}
    }
}

fn judge(env: &Arc<Env>, rule: &Value, schema: &Value, object: &Value) -> Outcome {
    let text = |field: &str| rule.get(field).and_then(Value::as_str);
    let Some(expression) = text("rule") else {
        return Outcome::NotEvaluated("a rule without an expression".to_owned());
    };
    if expression.contains("oldSelf") {
        return Outcome::Kept;
    }
    let program = match env.compile(expression) {
        Ok(program) => program,
        Err(error) => return Outcome::NotEvaluated(format!("{expression}: {error}")),
    };
    let mut context = Context::with_env(Arc::clone(env));
    context.add_variable_from_value("self", value(schema, object));
    match program.execute(&context) {
        Ok(Cel::Bool(true)) => Outcome::Kept,
        Ok(_) => Outcome::Broken(text("message").unwrap_or(expression).to_owned()),
        Err(
            error @ (ExecutionError::NoSuchOverload(_) | ExecutionError::UndeclaredReference(_)),
        ) => Outcome::NotEvaluated(format!("{expression}: {error}")),
        Err(error) => Outcome::Broken(format!("{expression}: {error}")),
    }
}

/// A value as CEL sees it: by the type that the schema gives it, as JSON does not tell an integer from a number.
fn value(schema: &Value, object: &Value) -> Cel {
    match object {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::String(text) => Cel::from(text.as_str()),
        Value::Number(number) => match number.as_i64() {
            Some(number) if schema.get("type").and_then(Value::as_str) != Some("number") => {
                Cel::Int(number)
            }
            _ => number.as_f64().map_or(Cel::Null, Cel::Float),
        },
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            Cel::from(
                items
                    .iter()
                    .map(|item| value(schema, item))
                    .collect::<Vec<_>>(),
            )
        }
        Value::Object(fields) => {
            let schema_of = |name: &str| {
                let property = schema.get("properties").and_then(|all| all.get(name));
                property
                    .or_else(|| schema.get("additionalProperties"))
                    .unwrap_or(&Value::Null)
            };
            let fields: HashMap<String, Cel> = fields
                .iter()
                .map(|(name, field)| (name.clone(), value(schema_of(name), field)))
                .collect();
            Cel::from(fields)
        }
    }
}
