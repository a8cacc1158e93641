//! Words, separators and redirections of shell text.

use super::script::Command;

/// The simple commands of a text, in order.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
        commands: Vec::new(),
        nesting: 0,
        heredocs: Vec::new(),
        function: false,
        braces: Vec::new(),
    };
    reader.run();
    reader.commands
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    commands: Vec<Command>,
    nesting: usize,
    heredocs: Vec<String>,
    /// The next `{` begins the body of a function.
    function: bool,
    /// For every open `{`, whether it is the body of a function.
    braces: Vec<bool>,
}

#[derive(Debug, PartialEq, Eq)]
enum Item {
    Word(String),
    Output(String),
    Input(String),
    Heredoc,
    Newline,
    Semicolon,
    And,
    Or,
    Pipe,
    End,
}

impl Reader {
    fn run(&mut self) {
        let mut command = Command::default();
        let mut after_or = false;
        let mut after_and = false;
        let mut piped = false;
        loop {
            let item = self.item();
            match item {
                Item::Word(word) if word == "(" && command.words.is_empty() => self.mark("("),
                Item::Word(word) if word == ")" && is_function_head(&command) => {
                    command = Command::default();
                    self.function = true;
                }
                Item::Word(word) if word == ")" => {
                    self.finish(std::mem::take(&mut command), after_or || after_and, piped);
                    self.mark(")");
                }
                Item::Word(word) => command.words.push(word),
                Item::Output(target) => command.outputs.push(target),
                Item::Input(source) => command.inputs.push(source),
                Item::Heredoc => command.heredoc = true,
                Item::Newline | Item::Semicolon | Item::And | Item::Or | Item::Pipe | Item::End => {
                    let tested = is_test(&command);
                    let was_conditional = after_or || after_and;
                    self.finish(std::mem::take(&mut command), was_conditional, piped);
                    after_or = item == Item::Or;
                    after_and = item == Item::And && (tested || was_conditional);
                    piped = item == Item::Pipe;
                    if item == Item::End {
                        return;
                    }
                }
            }
        }
    }

    /// The beginning or the end of a subshell.
    fn mark(&mut self, bracket: &str) {
        self.commands.push(Command { words: vec![bracket.to_owned()], ..Command::default() });
    }

    fn finish(&mut self, mut command: Command, conditional: bool, piped: bool) {
        while let Some(word) = command.words.first() {
            match word.as_str() {
                "if" | "while" | "until" | "for" | "case" => self.nesting += 1,
                "{" => {
                    let body = std::mem::take(&mut self.function);
                    self.nesting += usize::from(body);
                    self.braces.push(body);
                }
                "}" => {
                    let body = self.braces.pop().unwrap_or(false);
                    self.nesting = self.nesting.saturating_sub(usize::from(body));
                }
                "function" => self.function = true,
                "fi" | "done" | "esac" => self.nesting = self.nesting.saturating_sub(1),
                "then" | "do" | "else" | "elif" | "!" | "time" => {}
                _ => break,
            }
            let keyword = command.words.remove(0);
            if keyword == "function" && !command.words.is_empty() {
                command.words.remove(0);
            }
            if keyword == "for" || keyword == "case" {
                command.words.insert(0, if keyword == "for" { keyword } else { ":".to_owned() });
                break;
            }
        }
        while command.words.first().is_some_and(|word| is_assignment(word)) {
            command.assignments.push(command.words.remove(0));
        }
        if command.words.is_empty()
            && command.assignments.is_empty()
            && command.outputs.is_empty()
            && !command.heredoc
        {
            return;
        }
        command.conditional = conditional || self.nesting > 0;
        command.piped = piped;
        self.commands.push(command);
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn item(&mut self) -> Item {
        loop {
            let Some(c) = self.peek(0) else { return Item::End };
            match c {
                ' ' | '\t' | '\r' => self.at += 1,
                '\\' if self.peek(1) == Some('\n') => self.at += 2,
                '#' => self.skip_line(),
                '\n' => {
                    self.at += 1;
                    self.skip_heredocs();
                    return Item::Newline;
                }
                ';' => {
                    self.at += if self.peek(1) == Some(';') { 2 } else { 1 };
                    return Item::Semicolon;
                }
                '&' | '0'..='9' if self.peek(1) == Some('>') => return self.redirect_out(2),
                '&' if self.peek(1) == Some('&') => return self.eat(2, Item::And),
                '&' => return self.eat(1, Item::Semicolon),
                '|' if self.peek(1) == Some('|') => return self.eat(2, Item::Or),
                '|' => return self.eat(1, Item::Pipe),
                '(' | ')' => return self.eat(1, Item::Word(c.to_string())),
                '>' => return self.redirect_out(1),
                '<' => return self.redirect_in(),
                _ => return Item::Word(self.word()),
            }
        }
    }

    fn eat(&mut self, count: usize, item: Item) -> Item {
        self.at += count;
        item
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(0), Some(' ' | '\t')) {
            self.at += 1;
        }
    }

    fn redirect_out(&mut self, skip: usize) -> Item {
        self.at += skip;
        while matches!(self.peek(0), Some('>' | '|')) {
            self.at += 1;
        }
        if self.peek(0) == Some('&') {
            self.at += 1;
            let _ = self.word();
            return Item::Output("/dev/null".to_owned());
        }
        self.skip_blanks();
        Item::Output(self.word())
    }

    fn redirect_in(&mut self) -> Item {
        self.at += 1;
        if self.peek(0) == Some('<') {
            self.at += 1;
            if self.peek(0) == Some('<') {
                self.at += 1;
                self.skip_blanks();
                return Item::Input(self.word());
            }
            if self.peek(0) == Some('-') {
                self.at += 1;
            }
            self.skip_blanks();
            let delimiter = self.word();
            self.heredocs.push(delimiter);
            return Item::Heredoc;
        }
        if self.peek(0) == Some('(') {
            return Item::Word(self.word());
        }
        self.skip_blanks();
        Item::Input(self.word())
    }

    /// The lines of the documents that the last line announced.
    fn skip_heredocs(&mut self) {
        for delimiter in std::mem::take(&mut self.heredocs) {
            while self.at < self.chars.len() {
                let start = self.at;
                self.skip_line();
                let line: String = self.chars[start..self.at].iter().collect();
                self.at = (self.at + 1).min(self.chars.len());
                if line.trim() == delimiter {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek(0) {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '|' | '&' | '<' | '>' | ')' => break,
                '(' if word.is_empty() => break,
                '\'' => self.single_quoted(&mut word),
                '"' => self.double_quoted(&mut word),
                '\\' => {
                    self.at += 1;
                    match self.peek(0) {
                        Some(c) if c != '\n' => word.push(c),
                        _ => {}
                    }
                    self.at += 1;
                }
                '$' if matches!(self.peek(1), Some('(' | '{')) => self.expansion(&mut word),
                '`' => self.backquoted(&mut word),
                _ => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
        if word.is_empty() && self.peek(0).is_some_and(|c| c == '(') {
            self.at += 1;
            word.push('(');
        }
        word
    }

    fn single_quoted(&mut self, word: &mut String) {
        self.at += 1;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == '\'' {
                return;
            }
            // A dollar in single quotes is only a dollar.
            word.push(if c == '$' { '\u{1}' } else { c });
        }
    }

    fn double_quoted(&mut self, word: &mut String) {
        self.at += 1;
        while let Some(c) = self.peek(0) {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' if matches!(self.peek(1), Some('"' | '\\' | '$' | '`' | '\n')) => {
                    word.extend(self.peek(1).map(|c| if c == '$' { '\u{1}' } else { c }));
                    self.at += 2;
                }
                '$' if matches!(self.peek(1), Some('(' | '{')) => self.expansion(word),
                _ => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
    }

    /// `$( ... )` and `${ ... }`, kept as they are.
    fn expansion(&mut self, word: &mut String) {
        let mut depth = 0usize;
        while let Some(c) = self.peek(0) {
            word.push(c);
            self.at += 1;
            match c {
                '(' | '{' => depth += 1,
                ')' | '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn backquoted(&mut self, word: &mut String) {
        word.push('`');
        self.at += 1;
        while let Some(c) = self.peek(0) {
            word.push(c);
            self.at += 1;
            if c == '`' {
                return;
            }
        }
    }
}

/// `name (`, before the closing bracket.
fn is_function_head(command: &Command) -> bool {
    match command.words.as_slice() {
        [_, bracket] => bracket == "(",
        [name] => name.len() > 1 && name.ends_with('('),
        _ => false,
    }
}

fn is_test(command: &Command) -> bool {
    !matches!(
        command.words.first().map(String::as_str),
        Some(
            "cp" | "ln"
                | "mv"
                | "rm"
                | "mkdir"
                | "chmod"
                | "cd"
                | "install"
                | "touch"
                | "echo"
                | "cat"
                | "sed"
                | "jq"
                | "pushd"
                | "popd"
                | "substituteInPlace"
        ) | None
    )
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '+')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}
