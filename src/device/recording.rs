//! A list of kernel calls on values: what the plan makes and the scheduler runs.

use super::{Given, Kernel, Kind, Operation, Stored, Work};

/// One value of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// What a recording knows of a value before there is memory for it.
#[derive(Debug, Clone)]
pub struct Value {
    /// What it is, for people.
    pub label: String,
    /// Reals or words.
    pub kind: Kind,
    /// Number of elements.
    pub len: usize,
    /// Where it lives.
    pub home: Home,
    /// Of words that kernels index by: word i is below `below[i % below.len()]`. Empty where any word will do.
    pub below: Vec<u32>,
}

/// Where a value lives.
#[derive(Debug, Clone)]
pub enum Home {
    /// From its first write to its last read within an iteration: shares memory with others.
    Transient,
    /// Memory of its own, kept from one iteration to the next.
    Persistent,
    /// Memory that somebody else owns, such as a network's weights.
    Given(Given),
}

/// One kernel call.
#[derive(Debug)]
pub struct Call {
    /// The kernel with its parameters.
    pub operation: Box<dyn Operation>,
    /// Its values, in the order of its bindings.
    pub values: Vec<ValueId>,
    /// What it computes, for people: `conv1_1`, `backward pool2`.
    pub label: String,
}

/// Values and the calls on them, in the order in which they run.
#[derive(Debug, Default)]
pub struct Recording {
    values: Vec<Value>,
    calls: Vec<Call>,
}

impl Recording {
    /// An empty recording.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn add(&mut self, label: impl Into<String>, kind: Kind, len: usize, home: Home) -> ValueId {
        let id = ValueId(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        self.values.push(Value {
            label: label.into(),
            kind,
            len,
            home,
            below: Vec::new(),
        });
        id
    }

    /// A value that lives within an iteration only.
    pub fn transient(&mut self, label: impl Into<String>, kind: Kind, len: usize) -> ValueId {
        self.add(label, kind, len, Home::Transient)
    }

    /// A value with memory of its own, zero before the first iteration.
    pub fn persistent(&mut self, label: impl Into<String>, kind: Kind, len: usize) -> ValueId {
        self.add(label, kind, len, Home::Persistent)
    }

    /// Persistent words that kernels index by: word i is always below `below[i % below.len()]`. Whoever fills them from
    /// a file checks that.
    pub fn persistent_indices(
        &mut self,
        label: impl Into<String>,
        len: usize,
        below: &[u32],
    ) -> ValueId {
        let id = self.persistent(label, Kind::Word, len);
        self.values[id.0 as usize].below = below.to_vec();
        id
    }

    /// A value that lives in memory that somebody else owns.
    pub fn given(&mut self, label: impl Into<String>, memory: impl Into<Given>) -> ValueId {
        let memory = memory.into();
        self.add(label, memory.kind(), memory.len(), Home::Given(memory))
    }

    /// Appends a call.
    ///
    /// # Panics
    /// When the values differ in number or kind from the kernel's bindings, or one value is bound both to be read
    /// and to be written: a bug in the caller.
    pub fn call(&mut self, label: impl Into<String>, kernel: impl Kernel, values: &[ValueId]) {
        let label = label.into();
        let of = |id: &ValueId| (self.value(*id).kind, self.value(*id).len);
        let values_of: Vec<_> = values.iter().map(of).collect();
        let operation = Stored::on(Box::new(kernel), &values_of)
            .unwrap_or_else(|reason| panic!("{label}: {reason}"));
        let slots = operation.bindings();
        for (i, (slot, id)) in slots.iter().zip(values).enumerate() {
            let twice = values
                .iter()
                .enumerate()
                .any(|(j, other)| j != i && other == id);
            assert!(
                !(twice && slot.writes()),
                "{label}: {operation:?} binding {i} is written and bound twice"
            );
        }
        self.calls.push(Call {
            operation,
            values: values.to_vec(),
            label,
        });
    }

    /// Puts an alternative in the place of a call's kernel, see [`Operation::alternatives`].
    ///
    /// # Panics
    /// When it has other bindings: a bug in the caller.
    pub fn replace(&mut self, call: usize, operation: Box<dyn Operation>) {
        let call = &mut self.calls[call];
        assert_eq!(
            call.operation.bindings(),
            operation.bindings(),
            "{}: {operation:?} is no alternative",
            call.label
        );
        call.operation = operation;
    }

    /// Leaves out the calls that only write what lives within the iteration and is neither read in it nor one of
    /// `results`.
    pub fn prune(&mut self, results: &[ValueId]) {
        let mut read = vec![false; self.values.len()];
        results.iter().for_each(|id| read[id.0 as usize] = true);
        let values = &self.values;
        let mut useful = vec![false; self.calls.len()];
        for (call, useful) in self.calls.iter().zip(&mut useful).rev() {
            let slots = call.operation.bindings();
            let bound = || slots.iter().zip(&call.values);
            *useful = bound().any(|(slot, id)| {
                let value = id.0 as usize;
                slot.writes() && (read[value] || !matches!(values[value].home, Home::Transient))
            });
            if *useful {
                for (_, id) in bound().filter(|(slot, _)| slot.reads()) {
                    read[id.0 as usize] = true;
                }
            }
        }
        let mut useful = useful.into_iter();
        self.calls.retain(|_| useful.next().unwrap_or(true));
    }

    /// Lets go of the buffers that existed before: their values have no memory any more.
    pub fn release_given(&mut self) {
        for value in &mut self.values {
            if matches!(value.home, Home::Given(_)) {
                value.home = Home::Transient;
            }
        }
    }

    /// A value's description.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// All values, indexed by their id.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// All calls in order.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// What all calls together cost.
    #[must_use]
    pub fn work(&self) -> Work {
        self.calls
            .iter()
            .map(|call| call.operation.work())
            .fold(Work::default(), |sum, work| Work {
                flop: sum.flop + work.flop,
                bytes: sum.bytes + work.bytes,
            })
    }
}
