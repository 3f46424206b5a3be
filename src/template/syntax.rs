//! From text to expressions: the scanner that finds `${{ … }}`, and minijinja's tree turned into ours.

use std::ops::Range;

use minijinja::machinery::{ast, parse_expr};

use super::filters;
use super::{Expression, Part, Problem, ProblemKind, Template};
use crate::value::Value;

/// The longest expression, in bytes: it keeps the parser's places exact and its recursion small.
const MAX_LENGTH: usize = 8 * 1024;
/// The deepest nesting of an expression.
const MAX_DEPTH: usize = 48;

/// An expression as a tree, with the place of each part in the text that was parsed.
#[derive(Debug, Clone)]
pub struct Ast {
    pub kind: Kind,
    pub range: Range<usize>,
}

/// What a part of an expression is.
#[derive(Debug, Clone)]
pub enum Kind {
    Const(Value),
    Var(String),
    /// A map's entry by name, and where the name stands.
    Attr(Box<Ast>, String, Range<usize>),
    Item(Box<Ast>, Box<Ast>),
    Not(Box<Ast>),
    Neg(Box<Ast>),
    Binary(Op, Box<Ast>, Box<Ast>),
    /// `a < b <= c`.
    Chain(Box<Ast>, Vec<(Op, Ast)>),
    /// Test, then, else.
    If(Box<Ast>, Box<Ast>, Option<Box<Ast>>),
    Filter(String, Box<Ast>, Vec<(Option<String>, Ast)>),
    /// The name, what is tested, and whether it is `is not`.
    Test(String, Box<Ast>, Vec<Ast>),
    List(Vec<Ast>),
    Map(Vec<(Ast, Ast)>),
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
    In,
    NotIn,
    And,
    Or,
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Concat,
}

impl Op {
    /// The operator as it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::Gt => ">",
            Self::Gte => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
            Self::And => "and",
            Self::Or => "or",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Rem => "%",
            Self::Pow => "**",
            Self::Concat => "~",
        }
    }
}

impl Ast {
    /// The parts one level below.
    pub fn children(&self) -> Box<dyn Iterator<Item = &Ast> + '_> {
        match &self.kind {
            Kind::Const(_) | Kind::Var(_) => Box::new(std::iter::empty()),
            Kind::Attr(of, ..) | Kind::Not(of) | Kind::Neg(of) => Box::new(std::iter::once(&**of)),
            Kind::Item(a, b) | Kind::Binary(_, a, b) => Box::new([&**a, &**b].into_iter()),
            Kind::Chain(first, rest) => Box::new(std::iter::once(&**first).chain(rest.iter().map(|(_, a)| a))),
            Kind::If(test, yes, no) => Box::new([&**test, &**yes].into_iter().chain(no.as_deref())),
            Kind::Filter(_, of, arguments) => Box::new(std::iter::once(&**of).chain(arguments.iter().map(|(_, a)| a))),
            Kind::Test(_, of, arguments) => Box::new(std::iter::once(&**of).chain(arguments)),
            Kind::List(items) => Box::new(items.iter()),
            Kind::Map(entries) => Box::new(entries.iter().flat_map(|(k, v)| [k, v])),
        }
    }
}

/// Parses a text with `${{ … }}` in it.
///
/// # Errors
/// Every expression that does not parse.
pub fn parse(text: &str) -> Result<Template, Vec<Problem>> {
    let mut parts = Vec::new();
    let mut problems = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${{") {
        let open = at + found;
        if open > at {
            parts.push(Part::Text(text[at..open].to_owned()));
        }
        let inner = open + 3;
        let Some(close) = closing(text, inner) else {
            let problem = Problem::new(ProblemKind::Syntax, &(open..text.len()), "`${{` is opened here and not closed");
            problems.push(problem.help("close it with `}}`, or write `${{ \"${{\" }}` for the text itself"));
            at = text.len();
            break;
        };
        match expression(text, inner..close) {
            Ok(expression) => parts.push(Part::Expression(expression)),
            Err(problem) => problems.push(problem),
        }
        at = close + 2;
    }
    if at < text.len() {
        parts.push(Part::Text(text[at..].to_owned()));
    }
    if problems.is_empty() { Ok(Template { parts }) } else { Err(problems) }
}

/// Parses a bare expression, like a `when`.
///
/// # Errors
/// Why it does not parse.
pub fn parse_expression(text: &str) -> Result<Expression, Problem> {
    expression(text, 0..text.len())
}

/// Where the `}}` stands that closes an expression: not in a string literal, not of a map's braces.
fn closing(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut depth = 0usize;
    let mut i = from;
    while i < bytes.len() {
        match (quote, bytes[i]) {
            (Some(_), b'\\') => i += 1,
            (Some(q), b) if b == q => quote = None,
            (Some(_), _) => {}
            (None, b @ (b'"' | b'\'')) => quote = Some(b),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(i + 1) == Some(&b'}') => return Some(i),
            (None, _) => {}
        }
        i += 1;
    }
    None
}

fn expression(text: &str, range: Range<usize>) -> Result<Expression, Problem> {
    let raw = &text[range.clone()];
    let body = raw.trim();
    let start = range.start + (raw.len() - raw.trim_start().len());
    let range = start..start + body.len();
    let wrong = |message: &str| Problem::new(ProblemKind::Syntax, &range, message);
    if body.is_empty() {
        return Err(wrong("an expression is expected here"));
    }
    if body.len() > MAX_LENGTH {
        return Err(wrong("the expression is too long"));
    }
    // The parser recurses; nesting is counted before it does.
    let mut depth = 0usize;
    for byte in body.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(wrong("the expression is nested too deeply"));
        }
    }
    if let Some(sign) = ["&&", "||", "?"].into_iter().find(|s| outside_quotes(body, s)) {
        let instead = match sign {
            "&&" => "`and`",
            "||" => "`or`",
            _ => "`a if condition else b`",
        };
        return Err(wrong(&format!("`{sign}` is no operator here")).help(format!("write {instead}")));
    }
    let tree = parse_expr(body).map_err(|error| {
        // The parser counts bytes, and may stop within a character.
        let at = error.range().map_or(range.clone(), |r| {
            let from = body.floor_char_boundary(r.start);
            start + from..start + body.ceil_char_boundary(r.end.max(from))
        });
        let said = error.detail().unwrap_or("it does not read as an expression").to_owned();
        Problem::new(ProblemKind::Syntax, &at, format!("this is no expression: {said}"))
    })?;
    let ast = convert(&tree, body, start, 0)?;
    Ok(Expression { range, ast })
}

/// Whether a sign stands in an expression outside its string literals.
fn outside_quotes(body: &str, sign: &str) -> bool {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in body.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if body[i..].starts_with(sign) => return true,
            None => {}
        }
    }
    false
}

fn convert(tree: &ast::Expr<'_>, body: &str, start: usize, depth: usize) -> Result<Ast, Problem> {
    let span = tree.span();
    let local = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX).min(body.len());
    let (from, to) = (local(span.start_offset), local(span.end_offset));
    let range = start + from..start + to.max(from);
    if depth > MAX_DEPTH * 4 {
        return Err(Problem::new(ProblemKind::Syntax, &range, "the expression is nested too deeply"));
    }
    let sub = |e: &ast::Expr<'_>| convert(e, body, start, depth + 1);
    let boxed = |e: &ast::Expr<'_>| sub(e).map(Box::new);
    let refused = |what: &str| Err(Problem::new(ProblemKind::Syntax, &range, format!("{what} cannot be used here")));
    let kind = match tree {
        ast::Expr::Var(var) => Kind::Var(var.id.to_owned()),
        ast::Expr::Const(constant) => Kind::Const(plain(&constant.value)),
        ast::Expr::UnaryOp(unary) => match unary.op {
            ast::UnaryOpKind::Not => Kind::Not(boxed(&unary.expr)?),
            ast::UnaryOpKind::Neg => Kind::Neg(boxed(&unary.expr)?),
        },
        ast::Expr::BinOp(binary) => Kind::Binary(binary_op(binary.op), boxed(&binary.left)?, boxed(&binary.right)?),
        ast::Expr::Compare(chain) => {
            let rest = chain.ops.iter().map(|o| Ok((compare_op(o.op), sub(&o.expr)?)));
            Kind::Chain(boxed(&chain.expr)?, rest.collect::<Result<_, Problem>>()?)
        }
        ast::Expr::IfExpr(choice) => {
            let no = choice.false_expr.as_ref().map(boxed).transpose()?;
            Kind::If(boxed(&choice.test_expr)?, boxed(&choice.true_expr)?, no)
        }
        ast::Expr::Filter(filter) => {
            let Some(of) = &filter.expr else { return refused("a filter without a value") };
            let arguments = arguments(&filter.args, &range, &sub)?;
            // The span of a filter is the filter's own; the whole begins with the value.
            let of = sub(of)?;
            let whole = of.range.start.min(range.start)..range.end;
            filters::check(filter.name, &arguments, &name_range(filter.name, body, start, &of.range, &range))?;
            return Ok(Ast { kind: Kind::Filter(filter.name.to_owned(), Box::new(of), arguments), range: whole });
        }
        ast::Expr::Test(test) => {
            let of = sub(&test.expr)?;
            let whole = of.range.start.min(range.start)..range.end;
            let arguments: Vec<Ast> = arguments(&test.args, &range, &sub)?.into_iter().map(|(_, a)| a).collect();
            filters::check_test(test.name, arguments.len(), &name_range(test.name, body, start, &of.range, &range))?;
            return Ok(Ast { kind: Kind::Test(test.name.to_owned(), Box::new(of), arguments), range: whole });
        }
        ast::Expr::GetAttr(attribute) => {
            let of = sub(&attribute.expr)?;
            let name = name_range(attribute.name, body, start, &of.range, &range);
            let whole = of.range.start.min(range.start)..name.end.max(range.end);
            return Ok(Ast { kind: Kind::Attr(Box::new(of), attribute.name.to_owned(), name), range: whole });
        }
        ast::Expr::GetItem(item) => {
            let of = sub(&item.expr)?;
            let whole = of.range.start.min(range.start)..range.end;
            return Ok(Ast { kind: Kind::Item(Box::new(of), boxed(&item.subscript_expr)?), range: whole });
        }
        ast::Expr::List(list) => Kind::List(list.items.iter().map(sub).collect::<Result<_, _>>()?),
        ast::Expr::Map(map) => {
            let pairs = map.keys.iter().zip(&map.values).map(|(k, v)| Ok((sub(k)?, sub(v)?)));
            Kind::Map(pairs.collect::<Result<_, Problem>>()?)
        }
        ast::Expr::Call(call) => {
            let name = match &call.expr {
                ast::Expr::Var(var) => var.id,
                ast::Expr::GetAttr(attribute) => attribute.name,
                _ => "",
            };
            let problem =
                Problem::new(ProblemKind::Call, &range, format!("there are no functions, found a call of `{name}`"));
            return Err(if filters::FILTERS.contains(&name) {
                problem.help(format!("`{name}` is a filter: write `value | {name}`"))
            } else {
                problem.help(format!("there are the filters {}", filters::FILTERS.join(", ")))
            });
        }
        ast::Expr::Slice(_) => return refused("a slice"),
        ast::Expr::Tuple(_) => return refused("a tuple"),
    };
    let ast = Ast { kind, range };
    // The parser's span of an operator or a list may begin behind its first part.
    let (low, high) =
        ast.children().fold((ast.range.start, ast.range.end), |(l, h), c| (l.min(c.range.start), h.max(c.range.end)));
    Ok(Ast { range: low..high, ..ast })
}

/// Where a name stands that follows `of`: the parser keeps no place for it.
fn name_range(name: &str, body: &str, start: usize, of: &Range<usize>, whole: &Range<usize>) -> Range<usize> {
    let from = of.end.saturating_sub(start).min(body.len());
    match body[from..].find(name) {
        Some(i) => start + from + i..start + from + i + name.len(),
        None => whole.clone(),
    }
}

type Arguments = Vec<(Option<String>, Ast)>;

fn arguments(
    given: &[ast::CallArg<'_>],
    range: &Range<usize>,
    sub: &dyn Fn(&ast::Expr<'_>) -> Result<Ast, Problem>,
) -> Result<Arguments, Problem> {
    let mut all = Vec::new();
    for argument in given {
        all.push(match argument {
            ast::CallArg::Pos(value) => (None, sub(value)?),
            ast::CallArg::Kwarg(name, value) => (Some((*name).to_owned()), sub(value)?),
            ast::CallArg::PosSplat(_) | ast::CallArg::KwargSplat(_) => {
                return Err(Problem::new(ProblemKind::Call, range, "`*` arguments cannot be used here"));
            }
        });
    }
    Ok(all)
}

fn binary_op(op: ast::BinOpKind) -> Op {
    match op {
        ast::BinOpKind::Eq => Op::Eq,
        ast::BinOpKind::Ne => Op::Ne,
        ast::BinOpKind::Lt => Op::Lt,
        ast::BinOpKind::Lte => Op::Lte,
        ast::BinOpKind::Gt => Op::Gt,
        ast::BinOpKind::Gte => Op::Gte,
        ast::BinOpKind::ScAnd => Op::And,
        ast::BinOpKind::ScOr => Op::Or,
        ast::BinOpKind::Add => Op::Add,
        ast::BinOpKind::Sub => Op::Sub,
        ast::BinOpKind::Mul => Op::Mul,
        ast::BinOpKind::Div => Op::Div,
        ast::BinOpKind::FloorDiv => Op::FloorDiv,
        ast::BinOpKind::Rem => Op::Rem,
        ast::BinOpKind::Pow => Op::Pow,
        ast::BinOpKind::Concat => Op::Concat,
        ast::BinOpKind::In => Op::In,
    }
}

fn compare_op(op: ast::CompareOpKind) -> Op {
    match op {
        ast::CompareOpKind::Eq => Op::Eq,
        ast::CompareOpKind::Ne => Op::Ne,
        ast::CompareOpKind::Lt => Op::Lt,
        ast::CompareOpKind::Lte => Op::Lte,
        ast::CompareOpKind::Gt => Op::Gt,
        ast::CompareOpKind::Gte => Op::Gte,
        ast::CompareOpKind::In => Op::In,
        ast::CompareOpKind::NotIn => Op::NotIn,
    }
}

/// A literal as a value of ours.
fn plain(value: &minijinja::Value) -> Value {
    serde_json::to_value(value).map_or(Value::Null, |json| Value::from(&json))
}
