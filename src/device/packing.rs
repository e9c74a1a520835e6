//! Makes of a compiled shader one whose bindings hold reals in 16 bits.
//!
//! A kernel's file declares tensors as `array<vec4<f32>>` and is written and tested for that. Where a buffer holds
//! [`Kind::Half`], [`Kind::Packed`] or [`Kind::Rectified`] instead, the binding becomes an `array<vec2<u32>>`, every
//! load of a vec4 is passed through a function of `wgsl/shared/packed.wgsl`, and so is every vec4 before it is stored.
//! Drivers inline these. So one text serves all kinds of storage, and none can be forgotten.

use std::collections::{HashMap, HashSet};

use naga::{
    AddressSpace, ArraySize, Block, Expression, Function, GlobalVariable, Handle, Module, Range,
    Scalar, Span, Statement, StorageAccess, Type, TypeInner, VectorSize,
};

use super::{Kind, Slot};

/// The functions.
const TEXT: &str = include_str!("../../wgsl/shared/packed.wgsl");

/// What a kind's loads and stores are passed through.
#[derive(Debug, Clone, Copy)]
struct Codec {
    load: Handle<Function>,
    /// None where the kind is only read.
    store: Option<Handle<Function>>,
    /// Whether the shader writes the binding.
    written: bool,
}

/// The bindings that are stored otherwise than declared.
type Codecs = HashMap<Handle<GlobalVariable>, Codec>;

/// Changes those bindings whose slot is not as the file declares it; binding 0 is the parameters, `slots` follow.
///
/// # Errors
/// Why a binding cannot be stored so.
pub fn apply(module: &mut Module, slots: &[Slot]) -> Result<(), String> {
    pack(module, slots)?;
    for (_, variable) in module.global_variables.iter_mut() {
        let slot = slot(variable, slots);
        if let (AddressSpace::Storage { access }, Some(slot)) = (&mut variable.space, slot)
            && slot.writes()
        {
            *access |= StorageAccess::STORE;
        }
    }
    Ok(())
}

/// What a variable is bound to.
fn slot(variable: &GlobalVariable, slots: &[Slot]) -> Option<Slot> {
    let binding = variable.binding.map_or(0, |b| b.binding) as usize;
    slots.get(binding.checked_sub(1)?).copied()
}

/// Passes the loads and stores of what is stored in 16 bits through their functions.
fn pack(module: &mut Module, slots: &[Slot]) -> Result<(), String> {
    let mut kinds = Vec::new();
    for (handle, variable) in module.global_variables.iter() {
        let kind = slot(variable, slots).map(|slot| slot.kind);
        if let Some(kind) = kind.filter(|kind| kind.in_quads()) {
            kinds.push((handle, kind));
        }
    }
    if kinds.is_empty() {
        return Ok(());
    }
    let quad = TypeInner::Vector {
        size: VectorSize::Quad,
        scalar: Scalar::F32,
    };
    for (handle, _) in &kinds {
        let variable = &module.global_variables[*handle];
        let quads = match module.types[variable.ty].inner {
            TypeInner::Array {
                base,
                size: ArraySize::Dynamic,
                ..
            } => module.types[base].inner == quad,
            _ => false,
        };
        if !quads {
            let name = variable.name.as_deref().unwrap_or("?");
            return Err(format!("`{name}` is no array<vec4<f32>>"));
        }
    }
    let written: HashSet<_> = kinds
        .iter()
        .map(|(handle, _)| *handle)
        .filter(|handle| {
            let space = module.global_variables[*handle].space;
            matches!(space, AddressSpace::Storage { access } if access.contains(StorageAccess::STORE))
        })
        .collect();
    let words = words(module);
    let functions = import(module)?;
    let mut codecs = Codecs::new();
    for (handle, kind) in kinds {
        module.global_variables[handle].ty = words;
        let (load, store) = match kind {
            Kind::Half => ("from_half", None),
            Kind::Rectified => ("unpack_rectified", Some("pack_rectified")),
            _ => ("unpack", Some("pack")),
        };
        let codec = Codec {
            load: functions[load],
            store: store.map(|name| functions[name]),
            written: written.contains(&handle),
        };
        codecs.insert(handle, codec);
    }
    for (_, function) in module.functions.iter_mut() {
        rewrite(function, &codecs)?;
    }
    for entry in &mut module.entry_points {
        rewrite(&mut entry.function, &codecs)?;
    }
    Ok(())
}

/// The type `array<vec2<u32>>`.
fn words(module: &mut Module) -> Handle<Type> {
    let plain = |inner| Type { name: None, inner };
    let base = module.types.insert(
        plain(TypeInner::Vector {
            size: VectorSize::Bi,
            scalar: Scalar::U32,
        }),
        Span::UNDEFINED,
    );
    let array = TypeInner::Array {
        base,
        size: ArraySize::Dynamic,
        stride: 8,
    };
    module.types.insert(plain(array), Span::UNDEFINED)
}

/// Puts the functions of [`TEXT`] before the module's own, which are to call them, and tells where they are.
fn import(module: &mut Module) -> Result<HashMap<String, Handle<Function>>, String> {
    let text = naga::front::wgsl::parse_str(TEXT).map_err(|e| e.emit_to_string(TEXT))?;
    let mut types = HashMap::new();
    for (handle, ty) in text.types.iter() {
        // Only scalars and vectors: no type refers to another.
        types.insert(handle, module.types.insert(ty.clone(), Span::UNDEFINED));
    }
    let mut imported = HashMap::new();
    // They come first, in their order, so that they call each other as before.
    let own = std::mem::take(&mut module.functions);
    for (_, function) in text.functions.iter() {
        let mut function = function.clone();
        for argument in &mut function.arguments {
            argument.ty = types[&argument.ty];
        }
        if let Some(result) = &mut function.result {
            result.ty = types[&result.ty];
        }
        for (_, expression) in function.expressions.iter_mut() {
            if let Expression::Compose { ty, .. } | Expression::ZeroValue(ty) = expression {
                *ty = types[ty];
            }
        }
        let name = function.name.clone().unwrap_or_default();
        let handle = module.functions.append(function, Span::UNDEFINED);
        imported.insert(name, handle);
    }
    let mut moved = HashMap::new();
    for (handle, function) in own.iter() {
        let new = module.functions.append(function.clone(), Span::UNDEFINED);
        moved.insert(handle, new);
    }
    let text_functions = imported.len();
    for (_, function) in module.functions.iter_mut().skip(text_functions) {
        call_moved(function, &moved);
    }
    for entry in &mut module.entry_points {
        call_moved(&mut entry.function, &moved);
    }
    Ok(imported)
}

/// Lets a function call the others where they are now.
fn call_moved(function: &mut Function, moved: &HashMap<Handle<Function>, Handle<Function>>) {
    for (_, expression) in function.expressions.iter_mut() {
        if let Expression::CallResult(callee) = expression {
            *callee = moved[callee];
        }
    }
    let body = std::mem::take(&mut function.body);
    function.body = map(body, &mut |statement, span, block| {
        let statement = match statement {
            Statement::Call {
                function,
                arguments,
                result,
            } => Statement::Call {
                function: moved[&function],
                arguments,
                result,
            },
            other => other,
        };
        block.push(statement, span);
    });
}

/// A block with every statement that holds no others replaced by what `replace` pushes for it.
fn map(block: Block, replace: &mut impl FnMut(Statement, Span, &mut Block)) -> Block {
    let mut mapped = Block::with_capacity(block.len());
    for (statement, span) in block.span_into_iter() {
        let statement = match statement {
            Statement::Block(inner) => Statement::Block(map(inner, replace)),
            Statement::If {
                condition,
                accept,
                reject,
            } => Statement::If {
                condition,
                accept: map(accept, replace),
                reject: map(reject, replace),
            },
            Statement::Switch {
                selector,
                mut cases,
            } => {
                for case in &mut cases {
                    case.body = map(std::mem::take(&mut case.body), replace);
                }
                Statement::Switch { selector, cases }
            }
            Statement::Loop {
                body,
                continuing,
                break_if,
            } => Statement::Loop {
                body: map(body, replace),
                continuing: map(continuing, replace),
                break_if,
            },
            other => {
                replace(other, span, &mut mapped);
                continue;
            }
        };
        mapped.push(statement, span);
    }
    mapped
}

/// What becomes of an expression when it is due.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// The load of the words.
    words: Handle<Expression>,
    /// What makes numbers of them; the expression is its result.
    codec: Codec,
}

/// Passes a function's loads and stores of such bindings through their codecs.
fn rewrite(function: &mut Function, codecs: &Codecs) -> Result<(), String> {
    let expressions = &mut function.expressions;
    // The bindings, pointers to their vec4s, and pointers to components of these.
    let (mut arrays, mut quads) = (HashMap::new(), HashMap::new());
    let mut components: HashMap<Handle<Expression>, (Handle<Expression>, Codec)> = HashMap::new();
    let mut due: HashMap<Handle<Expression>, Due> = HashMap::new();
    let all: Vec<Handle<Expression>> = expressions.iter().map(|(handle, _)| handle).collect();
    for handle in all {
        match expressions[handle].clone() {
            Expression::GlobalVariable(variable) => {
                if let Some(codec) = codecs.get(&variable) {
                    arrays.insert(handle, *codec);
                }
            }
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => {
                if let Some(codec) = arrays.get(&base) {
                    quads.insert(handle, *codec);
                } else if let Some(codec) = quads.get(&base) {
                    components.insert(handle, (base, *codec));
                }
            }
            Expression::Load { pointer } => {
                if let Some(codec) = quads.get(&pointer).copied() {
                    let words = expressions.append(Expression::Load { pointer }, Span::UNDEFINED);
                    expressions[handle] = Expression::CallResult(codec.load);
                    due.insert(handle, Due { words, codec });
                } else if let Some((pointer, codec)) = components.get(&pointer).copied() {
                    // Where the pointer to the component was, there is now the vec4: nothing may be written in between.
                    if codec.written {
                        return Err("a component of what is also written is read".into());
                    }
                    let at = match expressions[handle] {
                        Expression::Load { pointer } => pointer,
                        _ => handle,
                    };
                    let component = match expressions[at] {
                        Expression::Access { index, .. } => Expression::Access { base: at, index },
                        Expression::AccessIndex { index, .. } => {
                            Expression::AccessIndex { base: at, index }
                        }
                        // Another load of the same component.
                        _ => return Err("a component is loaded twice through one pointer".into()),
                    };
                    expressions[handle] = component;
                    let words = expressions.append(Expression::Load { pointer }, Span::UNDEFINED);
                    expressions[at] = Expression::CallResult(codec.load);
                    due.insert(at, Due { words, codec });
                }
            }
            _ => {}
        }
    }
    let mut refused = None;
    let body = std::mem::take(&mut function.body);
    function.body = map(body, &mut |statement, span, block| match statement {
        Statement::Emit(range) => emit(range, span, block, &due),
        Statement::Store { pointer, value } => {
            let value = match quads.get(&pointer).map(|codec| codec.store) {
                Some(Some(store)) => {
                    let result = expressions.append(Expression::CallResult(store), span);
                    let call = Statement::Call {
                        function: store,
                        arguments: vec![value],
                        result: Some(result),
                    };
                    block.push(call, span);
                    result
                }
                Some(None) => {
                    refused = Some("halves are written");
                    value
                }
                None => value,
            };
            if components.contains_key(&pointer) {
                refused = Some("a component is written by itself");
            }
            block.push(Statement::Store { pointer, value }, span);
        }
        other => block.push(other, span),
    });
    refused.map_or(Ok(()), |reason| Err(reason.to_string()))
}

/// Emits expressions, with those that are due as calls between them.
fn emit(
    range: Range<Expression>,
    span: Span,
    block: &mut Block,
    due: &HashMap<Handle<Expression>, Due>,
) {
    let mut run: Option<(Handle<Expression>, Handle<Expression>)> = None;
    let flush = |run: &mut Option<(Handle<Expression>, Handle<Expression>)>, block: &mut Block| {
        if let Some((first, last)) = run.take() {
            block.push(Statement::Emit(Range::new_from_bounds(first, last)), span);
        }
    };
    for handle in range {
        let Some(Due { words, codec }) = due.get(&handle) else {
            run = Some((run.map_or(handle, |(first, _)| first), handle));
            continue;
        };
        flush(&mut run, block);
        block.push(
            Statement::Emit(Range::new_from_bounds(*words, *words)),
            span,
        );
        let call = Statement::Call {
            function: codec.load,
            arguments: vec![*words],
            result: Some(handle),
        };
        block.push(call, span);
    }
    flush(&mut run, block);
}
