//! The engine's session: functions, rules and shared resources.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    common::DataFusionError,
    execution::{
        SessionState, SessionStateBuilder,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::{FairSpillPool, TrackConsumersPool},
        runtime_env::RuntimeEnvBuilder,
    },
    optimizer::Analyzer,
    prelude::SessionConfig,
};

use crate::{
    Lake, Limits,
    catalog::{CATALOG, SCHEMA},
    function,
    plan::{Coerce, Promote},
    shelf::Shelf,
};

/// Functions of the engine that show what it runs on or on whose behalf.
const HIDDEN: [&str; 1] = ["version"];
/// Functions over rows that may stand in FROM.
const ROW_FUNCTIONS: [&str; 2] = ["range", "generate_series"];

/// A session without tables; each statement gets a copy with its own.
pub(crate) fn base(limits: &Limits, lake: Arc<dyn Lake>) -> Result<SessionState, DataFusionError> {
    let pool = FairSpillPool::new(limits.memory_bytes);
    let top = std::num::NonZero::new(3).unwrap_or(std::num::NonZero::<usize>::MIN);
    let mode = match &limits.spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::Disabled,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(limits.spill_bytes);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, top)))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(Shelf::of(lake)))
        .build_arc()?;
    let mut builder = SessionStateBuilder::new()
        .with_config(config(limits))
        .with_runtime_env(runtime)
        .with_default_features()
        .with_analyzer_rules(rules());
    function::register(&mut builder);
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(Coerce));
    if let Some(functions) = builder.scalar_functions() {
        functions.retain(|function| !HIDDEN.contains(&function.name()));
    }
    if let Some(functions) = builder.table_functions() {
        functions.retain(|name, _| ROW_FUNCTIONS.contains(&name.as_str()));
    }
    builder.file_formats().take();
    *builder.table_factories() = Some(HashMap::new());
    Ok(builder.build())
}

fn rules() -> Vec<Arc<dyn datafusion::optimizer::AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    rules.insert(0, Arc::new(Promote));
    rules
}

fn config(limits: &Limits) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_target_partitions(limits.threads.max(1));
    let options = config.options_mut();
    options.execution.time_zone = Some("+00:00".to_owned());
    options.execution.parquet.bloom_filter_on_read = true;
    options.explain.logical_plan_only = true;
    options.catalog.has_header = false;
    // A sort that spills reserves memory to merge; with small pools the default leaves nothing to sort in.
    options.execution.sort_spill_reservation_bytes = (limits.memory_bytes / 16).min(10 << 20);
    config
}
