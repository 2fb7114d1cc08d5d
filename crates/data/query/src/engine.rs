//! The engine: one question in, one answer out, within limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use datafusion::{
    arrow::temporal_conversions::timestamp_us_to_datetime,
    common::tree_node::{TreeNode, TreeNodeRecursion},
    error::DataFusionError,
    execution::{SessionState, SessionStateBuilder, context::SQLOptions},
    logical_expr::{Expr, LogicalPlan},
    physical_plan::{ExecutionPlan, execute_stream},
    sql::parser::Statement,
};
use event::ProjectId;
use futures::StreamExt;
use jiff::Timestamp;
use tokio::{
    runtime::Runtime,
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
};

use crate::{
    Answer, Error, Kind, Lake, Limits, Snapshot,
    catalog::Catalog,
    error::{TIMEOUT, translate},
    function, session,
    sql::{self, Prepared, Window},
};

/// Stack of a query thread: enough for the deepest tree the guards let through.
const STACK: usize = 64 << 20;

/// One question.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose rows it may see.
    pub project: ProjectId,
    /// The statement.
    pub sql: String,
    /// What `now()` means.
    pub now: Timestamp,
    /// Rows wanted when the statement has no LIMIT, and at most when it has one. `None` leaves
    /// both to [`Limits`].
    pub row_limit: Option<usize>,
}

/// Answers questions on threads of its own, so that a heavy one does not hold up the caller's.
///
/// Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    core: Core,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    runtime: Option<Runtime>,
}

/// What a running question needs.
#[derive(Clone)]
struct Core {
    lake: Arc<dyn Lake>,
    /// Made by the first question: its tables of functions are megabytes of code and memory, which a server that only
    /// takes events does without.
    base: Arc<OnceCell<SessionState>>,
    limits: Arc<Limits>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").field("limits", self.limits()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the query threads.
    ///
    /// # Errors
    /// `Unavailable` when threads or the spill folder cannot be had.
    pub fn new(lake: Arc<dyn Lake>, limits: Limits) -> Result<Self, Error> {
        if let Some(dir) = &limits.spill_dir {
            std::fs::create_dir_all(dir)
                .map_err(|cause| Error::unavailable(format!("The spill folder {}", dir.display()), cause))?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.threads.max(1))
            .thread_stack_size(STACK)
            .thread_name("query")
            .enable_all()
            .build()
            .map_err(|cause| Error::unavailable("Query threads", cause))?;
        let turns = Arc::new(Semaphore::new(limits.concurrent.max(1)));
        let core = Core { lake, base: Arc::default(), limits: Arc::new(limits) };
        Ok(Self {
            shared: Arc::new(Shared { core, turns, waiting: AtomicUsize::new(0), runtime: Some(runtime) }),
        })
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.shared.core.limits
    }

    /// Answers one question. Dropping the returned future stops the work.
    ///
    /// # Errors
    /// `Invalid` and `NotFound` for the statement's faults, `Limit` when it wants too much, `Busy`
    /// when too many are asked at once; see [`Kind`].
    pub async fn run(&self, request: Request) -> Result<Answer, Error> {
        let turn = self.turn().await?;
        let core = self.shared.core.clone();
        let runtime =
            self.shared.runtime.as_ref().ok_or_else(|| Error::new(Kind::Busy, "throttled", "Stopping."))?;
        let time = core.limits.time;
        // The turn ends with the work, not with the caller's patience: what cannot be stopped at
        // once still counts as running.
        let work = runtime.spawn(async move {
            let _turn: OwnedSemaphorePermit = turn;
            tokio::time::timeout(time, core.answer(request)).await
        });
        let stop = Stop(work.abort_handle());
        // The work watches its own time; a stretch that does not pause is cut off here.
        let done = tokio::time::timeout(time + Duration::from_millis(500), work).await;
        drop(stop);
        match done {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(_))) | Err(_) => Err(too_slow(time)),
            Ok(Err(broken)) => Err(Error {
                source: Some(Box::new(broken)),
                ..Error::new(Kind::Bug, "error", "A query broke off")
            }),
        }
    }

    /// Waits for a turn, not too long and not with too many others.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let shared = &self.shared;
        if let Ok(turn) = Arc::clone(&shared.turns).try_acquire_owned() {
            return Ok(turn);
        }
        let limits = &shared.core.limits;
        let busy = || Error::new(Kind::Busy, "throttled", "Too many queries at once. Try again in a moment.");
        let queued = Queued::enter(&shared.waiting);
        if queued.ahead >= limits.waiting {
            return Err(busy());
        }
        let turn = tokio::time::timeout(limits.patience, Arc::clone(&shared.turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(busy)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // An engine may be dropped on another runtime's thread, where waiting is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn too_slow(time: Duration) -> Error {
    let text = format!(
        "The query took longer than {} seconds and was stopped. Narrow the time range or read fewer columns.",
        time.as_secs_f64()
    );
    Error::new(Kind::Limit, TIMEOUT, text)
}

/// Stops the work when the caller goes away.
struct Stop(tokio::task::AbortHandle);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A place in the queue.
struct Queued<'a> {
    count: &'a AtomicUsize,
    ahead: usize,
}

impl<'a> Queued<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        Self { count, ahead: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Core {
    async fn answer(&self, request: Request) -> Result<Answer, Error> {
        let Prepared { statement, window, explain } =
            sql::prepare(&request.sql, &self.limits, request.row_limit)?;
        let snapshot = self.lake.pin().await?;
        let names = Catalog::all_names(&snapshot.names().await?);
        let base = self.at(request.now).await?;
        let statement = Statement::Statement(Box::new(statement));
        let project = request.project.0;
        let session = Catalog::new(&base, &snapshot, project, &names).open(&statement).await?;
        match self.run(&session, statement, window, explain).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Ours(error)) => Err(error),
            Err(Failure::Engine(error)) => Err(named(translate(error, &names), &snapshot, &names).await),
        }
    }

    async fn run(
        &self,
        session: &SessionState,
        statement: Statement,
        window: Window,
        explain: bool,
    ) -> Result<Answer, Failure> {
        let plan = session.statement_to_plan(statement).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        let names = if explain { None } else { Some(column_names(&plan)) };
        let plan = session.optimize(&plan)?;
        let session = with_room_for(session, constant_bytes(&plan)?);
        let physical = session.query_planner().create_physical_plan(&plan, &session).await?;
        self.collect(&session, physical, names, window).await
    }

    /// Draws rows until there are enough, no more, or too many bytes.
    async fn collect(
        &self,
        session: &SessionState,
        physical: Arc<dyn ExecutionPlan>,
        names: Option<Vec<String>>,
        window: Window,
    ) -> Result<Answer, Failure> {
        let mut answer = Answer::new(physical.schema(), names);
        (answer.limit, answer.offset) = (window.limit, window.offset);
        let mut stream = execute_stream(physical, session.task_ctx())?;
        let (mut rows, mut bytes) = (0, 0);
        while let Some(batch) = stream.next().await {
            let mut batch = batch?;
            if rows + batch.num_rows() > window.limit {
                batch = batch.slice(0, window.limit - rows);
                answer.has_more = true;
            }
            rows += batch.num_rows();
            bytes += sliced_bytes(&batch);
            if bytes > self.limits.answer_bytes {
                return Err(Failure::Ours(too_large(self.limits.answer_bytes)));
            }
            if batch.num_rows() > 0 {
                answer.batches.push(batch);
            }
            if answer.has_more {
                break;
            }
        }
        Ok(answer)
    }

    /// The session with its clock set.
    async fn at(&self, now: Timestamp) -> Result<SessionState, Error> {
        let base =
            self.base.get_or_try_init(async || session::base(&self.limits, Arc::clone(&self.lake))).await;
        let base = base.map_err(|cause| Error::unavailable("The query engine", cause))?;
        let mut state = SessionStateBuilder::new_from_existing(base.clone()).build();
        let start = timestamp_us_to_datetime(now.as_microsecond()).map(|naive| naive.and_utc());
        let start = start.ok_or_else(|| Error::invalid("The time of the question is out of range."))?;
        state.execution_props_mut().query_execution_start_time = Some(start);
        let function = Arc::new(function::now_at(now));
        datafusion::execution::FunctionRegistry::register_udf(&mut state, function)
            .map_err(|error| translate(error, &[]))?;
        Ok(state)
    }
}

/// A failed read, with the damaged file's name when one is found.
async fn named(error: Error, snapshot: &Arc<dyn Snapshot>, names: &[String]) -> Error {
    if !matches!(error.kind, Kind::Corrupt | Kind::Unavailable) {
        return error;
    }
    for name in names {
        if let Ok(Some(relation)) = snapshot.relation(name).await
            && let Err(damage) = relation.check().await
        {
            return damage;
        }
    }
    error
}

/// Bytes that the copies of a statement's constants may take in one batch of rows.
const COPIES: usize = 64 << 20;
/// Constants shorter than this do not matter.
const SHORT: usize = 1_024;

/// Bytes of the long constants in a plan.
fn constant_bytes(plan: &LogicalPlan) -> Result<usize, DataFusionError> {
    let mut bytes = 0;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Literal(value, _) = part {
                    bytes += Some(value.size()).filter(|size| *size >= SHORT).unwrap_or(0);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(bytes)
}

/// The session with batches so small that a copy of the constants in each of their rows is no danger.
fn with_room_for(session: &SessionState, constants: usize) -> SessionState {
    let rows = COPIES / constants.max(1);
    let usual = session.config().batch_size();
    if rows >= usual {
        return session.clone();
    }
    let config = session.config().clone().with_batch_size(rows.max(1));
    SessionStateBuilder::new_from_existing(session.clone()).with_config(config).build()
}

fn too_large(most: usize) -> Error {
    let text = format!(
        "The answer is larger than {} MB. Select fewer columns or rows, or leave out the JSON columns.",
        most >> 20
    );
    Error::new(Kind::Limit, "result_too_large", text)
}

/// Bytes that the rows of a batch take, counting shared buffers by the part that is used.
fn sliced_bytes(batch: &datafusion::arrow::array::RecordBatch) -> usize {
    use datafusion::arrow::array::{Array, AsArray};
    let of = |column: &Arc<dyn Array>| match column.as_string_view_opt() {
        Some(texts) => texts.iter().map(|text| 16 + text.map_or(0, str::len)).sum(),
        None => column.to_data().get_slice_memory_size().unwrap_or(0),
    };
    batch.columns().iter().map(of).sum()
}

fn column_names(plan: &LogicalPlan) -> Vec<String> {
    plan.schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// A failure on the way, before it is put in our words.
enum Failure {
    Ours(Error),
    Engine(DataFusionError),
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error)
    }
}
