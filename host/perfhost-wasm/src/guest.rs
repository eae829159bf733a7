//! What the host keeps for one instance: memory and table accounts, its log, and what its imports may see.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::deadline::Deadline;
use crate::host::history::History;
use crate::host::log::Log;
use crate::limits::Limits;
use crate::wasi::Wasi;

/// Core instances that one component may be made of; Python guests link dozens of libraries.
const CORE_INSTANCES: usize = 1_000;
const TABLES: usize = 100;
const MEMORIES: usize = 16;

/// The data of one instance's store.
pub(crate) struct Guest {
    pub(crate) log: Arc<Log>,
    /// Absent in planning instances, whose queries are answered with nothing.
    pub(crate) history: Option<Arc<dyn History>>,
    pub(crate) wasi: Wasi,
    pub(crate) deadline: Deadline,
    /// Bytes of all its memories.
    pub(crate) memory_bytes: u64,
    /// The amount it wanted to have in all when it was last refused memory.
    pub(crate) refused_bytes: Option<u64>,
    memory_limit_bytes: u64,
    table_elements: u64,
    table_limit: u64,
}

impl Guest {
    pub(crate) fn new(
        limits: &Limits,
        log: Arc<Log>,
        history: Option<Arc<dyn History>>,
        wasi: Wasi,
        deadline: Deadline,
    ) -> Self {
        Self {
            log,
            history,
            wasi,
            deadline,
            memory_bytes: 0,
            refused_bytes: None,
            memory_limit_bytes: limits.memory_bytes,
            table_elements: 0,
            table_limit: limits.table_elements,
        }
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes + (desired as u64).saturating_sub(current as u64);
        if wanted > self.memory_limit_bytes {
            self.refused_bytes = Some(wanted);
            return Ok(false);
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.table_elements + (desired as u64).saturating_sub(current as u64);
        if wanted > self.table_limit {
            return Ok(false);
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
