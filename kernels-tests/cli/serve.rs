//! `pixgrad serve` and `--serve`, asked over plain HTTP: runs, and what is refused while they go on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use super::desk::Running;
use super::*;

/// A server, which is killed when this is dropped.
struct Served {
    tool: Running,
    /// Host and port.
    address: String,
    url: String,
}

/// What it answers.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", text(&self.body));
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Sends bytes and reads until the other end closes. What cannot be sent any more was refused.
fn exchange(address: &str, parts: &[&[u8]]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit).expect("a time limit");
    for part in parts {
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let mut bytes = Vec::new();
    // Of a connection that is reset what came before is there.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
    let end = end.unwrap_or(bytes.len());
    let head = text(&bytes[..end]);
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head: head.to_lowercase(),
        body: bytes.get(end + 4..).unwrap_or_default().to_vec(),
    }
}

impl Served {
    fn new(desk: &Desk, line: &str) -> Self {
        Self::of(desk.start(line))
    }

    fn of(mut tool: Running) -> Self {
        let url = tool.stdout_line();
        let address = url.trim_start_matches("http://");
        let address = address.split('/').next().expect("an address").to_string();
        Self { tool, address, url }
    }

    fn usual(desk: &Desk) -> Self {
        Self::new(desk, "serve --port 0 -o out -q")
    }

    fn get(&self, path: &str) -> Answer {
        self.with(&format!("GET {path}"), &[("host", &self.address)], &[])
    }

    fn post(&self, path: &str, body: &[u8]) -> Answer {
        let kind = ("content-type", "application/json");
        self.with(
            &format!("POST {path}"),
            &[("host", &self.address), kind],
            body,
        )
    }

    fn with(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
        if !headers
            .iter()
            .any(|(name, _)| *name == "content-length" || *name == "transfer-encoding")
        {
            head += &format!("content-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        exchange(&self.address, &[head.as_bytes(), body])
    }

    fn upload(&self, desk: &Desk, name: &str) -> String {
        let file = fs::read(desk.path(name)).expect("a picture");
        let told = self
            .post(&format!("/api/pictures?name={name}"), &file)
            .json();
        told["id"].as_str().expect("an id").to_string()
    }

    /// Asks for a style of so many iterations; its number.
    fn style(&self, desk: &Desk, iterations: u64) -> u64 {
        let (content, style) = (
            self.upload(desk, "content.png"),
            self.upload(desk, "style.png"),
        );
        let asked = json!({
            "model": "squeezenet1_1",
            "asked": {
                "method": "style", "content": "content.png", "styles": ["style.png"],
                "size": 48, "iterations": iterations,
            },
            "pictures": { "content.png": content, "style.png": style },
        });
        let told = self.post("/api/runs", asked.to_string().as_bytes()).json();
        told["number"].as_u64().expect("a number")
    }

    fn run(&self, number: u64) -> Value {
        self.get(&format!("/api/runs/{number}")).json()
    }

    fn until(&self, number: u64, is: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let run = self.run(number);
            if is(&run) {
                return run;
            }
            assert!(Instant::now() < end, "{run}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn until_at_work(&self, number: u64) {
        self.until(number, |run| run["state"] == "running" && steps(run) > 0);
    }
}

/// The last iteration that is told.
fn steps(run: &Value) -> u64 {
    let last = run["steps"].as_array().and_then(|steps| steps.last());
    last.and_then(|step| step["iteration"].as_u64())
        .unwrap_or(0)
}

/// The pictures in the folder `out`; every file there is one.
fn outputs(desk: &Desk) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(desk.path("out")) else {
        return Vec::new();
    };
    let paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    for path in &paths {
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(
            name.starts_with("style-") && name.ends_with(".png"),
            "{name}"
        );
        let picture = image::load(path).expect("a whole picture");
        assert_eq!(picture.size(), (48, 36));
    }
    paths
}

#[test]
fn what_is_refused_disturbs_no_run() {
    let desk = Desk::new();
    let served = Served::usual(&desk);
    let number = served.style(&desk, 1_000_000);
    served.until_at_work(number);
    let before = desk.files();
    let own = served.address.as_str();
    let port = own.rsplit(':').next().expect("a port");

    // Who asks.
    let json = ("content-type", "application/json");
    let stop = format!("POST /api/runs/{number}/stop");
    let evil = format!("evil.example:{port}");
    for (line, headers, expected) in [
        ("GET /", vec![("host", evil.as_str())], 403),
        ("GET /", vec![("host", "127.0.0.1.evil.example")], 403),
        (
            "GET /api/runs",
            vec![("host", own), ("sec-fetch-site", "cross-site")],
            403,
        ),
        (
            &stop,
            vec![("host", own), json, ("origin", "http://evil.example")],
            403,
        ),
        (&stop, vec![("host", own), json, ("origin", "null")], 403),
        (
            &stop,
            vec![("host", &evil), json, ("origin", &format!("http://{evil}"))],
            403,
        ),
        (
            &stop,
            vec![("host", own), ("content-type", "text/plain")],
            415,
        ),
        (&stop, vec![("host", own)], 415),
        ("DELETE /api/runs/1", vec![("host", own), json], 405),
        (
            "OPTIONS /api/runs",
            vec![("host", own), ("origin", "http://evil.example")],
            403,
        ),
        ("GET /api/nothing", vec![("host", own)], 404),
    ] {
        let answer = served.with(line, &headers, b"");
        assert_eq!(answer.status, expected, "{line} {headers:?}");
        assert!(
            !answer.head.contains("access-control-allow"),
            "{}",
            answer.head
        );
    }

    // Names that might be paths.
    for path in [
        "/../Cargo.toml",
        "/samples/../../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/..%2fCargo.toml",
        "//etc/passwd",
        "/api/pictures/..%2f..%2fcontent.png",
    ] {
        assert!(matches!(served.get(path).status, 404 | 410), "{path}");
    }
    let picture = fs::read(desk.path("content.png")).expect("a picture");
    for name in ["..%2Fa.png", "%2Fetc%2Fa.png", "a%5Cb.png", "..", ""] {
        let path = format!("/api/pictures?name={name}");
        assert_eq!(served.post(&path, &picture).status, 400, "{name}");
    }
    let id = served.upload(&desk, "content.png");
    let content = desk.path("content.png").display().to_string();
    let recipe = |image: Value, term: Value| {
        json!({
            "model": "squeezenet1_1", "image": image, "term": [term],
            "optimizer": { "kind": "adam", "iterations": 1 },
        })
    };
    let small = json!({ "init": "noise", "size": 32 });
    let of =
        |target: &str| json!({ "kind": "content", "target": target, "layers": ["relu_conv1"] });
    for (model, asked, pictures) in [
        (
            "squeezenet1_1",
            json!({ "method": "dream", "content": "../content.png" }),
            json!({ "../content.png": id }),
        ),
        (
            "squeezenet1_1",
            json!({ "method": "dream", "content": "content.png" }),
            json!({}),
        ),
        (
            "../squeezenet1_1",
            json!({ "method": "dream", "content": "a" }),
            json!({ "a": id }),
        ),
        (
            "/etc/passwd",
            json!({ "method": "dream", "content": "a" }),
            json!({ "a": id }),
        ),
        (
            "squeezenet1_1",
            recipe(
                json!({ "init": content, "size": 32 }),
                json!({ "kind": "tv" }),
            ),
            json!({}),
        ),
        (
            "squeezenet1_1",
            recipe(small.clone(), of(&content)),
            json!({}),
        ),
        (
            "squeezenet1_1",
            recipe(small.clone(), of("content.png")),
            json!({}),
        ),
        (
            "squeezenet1_1",
            json!({ "model": "a.onnx", "image": small, "term": [of("a")] }),
            json!({ "a": id }),
        ),
    ] {
        let body = json!({ "model": model, "asked": asked, "pictures": pictures }).to_string();
        let answer = served.post("/api/runs", body.as_bytes());
        assert_eq!(answer.status, 400, "{body}: {}", text(&answer.body));
    }

    // Too much.
    let gigabyte = ("content-length", "1073741824");
    for path in ["/api/pictures?name=a.png", "/api/runs"] {
        let line = format!("POST {path}");
        let answer = served.with(&line, &[("host", own), json, gigabyte], &[0; 4096]);
        assert_eq!(answer.status, 413, "{path}");
    }
    let head =
        format!("POST /api/runs HTTP/1.1\r\nhost: {own}\r\ncontent-type: application/json\r\n");
    let head = head + "transfer-encoding: chunked\r\n\r\n";
    let chunk = [b"80000\r\n".as_slice(), &vec![b' '; 0x80000], b"\r\n"].concat();
    let chunks = [head.as_bytes(), &chunk, &chunk, &chunk];
    // The answer may be lost with the connection, but nothing was taken.
    assert!(matches!(exchange(own, &chunks).status, 413 | 0));
    let long = format!("/{}", "a".repeat(1 << 20));
    assert_ne!(served.get(&long).status, 200);
    let garbage = exchange(own, &[b"\x16\x03\x01 no HTTP\r\n\r\n"]);
    assert!(matches!(garbage.status, 400 | 0));

    // Too many.
    let many: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(own).expect("a connection"))
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let limit = Some(Duration::from_millis(200));
    let mut turned_away = 0;
    for mut stream in &many {
        stream.set_read_timeout(limit).expect("a time limit");
        let mut start = [0; 12];
        if turned_away < 20 && stream.read_exact(&mut start).is_ok() {
            assert_eq!(&start, b"HTTP/1.1 503");
            turned_away += 1;
        }
        if turned_away == 0 {
            // None of those that were taken is told anything.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
    assert_eq!(turned_away, 20);
    drop(many);

    let end = Instant::now() + Duration::from_secs(15);
    while served.get("/api/runs").status != 200 {
        assert!(Instant::now() < end, "it does not answer any more");
    }
    let now = steps(&served.run(number));
    served.until(number, |run| steps(run) > now);
    assert_eq!(served.run(number)["state"], "running");
    assert_eq!(
        served.get("/api/runs").json().as_array().map(Vec::len),
        Some(1)
    );
    served
        .post(&format!("/api/runs/{number}/stop"), b"{}")
        .json();
    let run = served.until(number, |run| run["state"] == "stopped");
    let [path] = &outputs(&desk)[..] else {
        panic!("one picture");
    };
    assert_eq!(
        run["file"].as_str(),
        path.file_name().and_then(|name| name.to_str())
    );
    let mut expected = before;
    expected.push("out".into());
    expected.sort();
    expected.dedup();
    assert_eq!(
        desk.files(),
        expected,
        "nothing is written but the pictures"
    );
}

#[test]
fn a_finished_run_is_a_picture_that_repeats_itself() {
    let desk = Desk::new();
    let served = Served::usual(&desk);
    let number = served.style(&desk, 5);
    let run = served.until(number, |run| run["state"] == "finished");
    assert_eq!(run["terms"], json!(["content", "gram", "tv"]));
    assert_eq!(run["asked"]["method"], "style");
    let [path] = &outputs(&desk)[..] else {
        panic!("one picture");
    };
    let file = fs::read(path).expect("a file");
    for way in ["file", "image"] {
        let answer = served.get(&format!("/api/runs/{number}/{way}"));
        assert_eq!((answer.status, answer.body == file), (200, true));
        for header in [
            "nosniff",
            "default-src 'none'",
            "no-store",
            "no-referrer",
            "image/png",
        ] {
            assert!(answer.head.contains(header), "{}", answer.head);
        }
    }
    desk.done(&format!("run {} -o again.png", path.display()));
    assert_eq!(
        desk.load("again.png"),
        image::load(path).expect("a picture")
    );
    let page = served.get("/");
    assert_eq!(page.status, 200);
    assert!(text(&page.body).contains("data-served"));
    // The list of devices begins with the one that was asked for.
    let about = served.get("/api/devices").json();
    assert_eq!(about["devices"][0]["backend"], "cpu");
}

#[test]
fn runs_wait_and_not_too_many() {
    let desk = Desk::new();
    let served = Served::usual(&desk);
    let first = served.style(&desk, 1_000_000);
    served.until_at_work(first);
    let waiting: Vec<u64> = (0..32).map(|_| served.style(&desk, 5)).collect();
    let id = served.upload(&desk, "content.png");
    let asked = json!({
        "model": "squeezenet1_1", "asked": { "method": "dream", "content": "a", "size": 48 },
        "pictures": { "a": id },
    });
    assert_eq!(
        served
            .post("/api/runs", asked.to_string().as_bytes())
            .status,
        429
    );
    for number in &waiting[1..] {
        served
            .post(&format!("/api/runs/{number}/stop"), b"{}")
            .json();
        assert_eq!(served.run(*number)["state"], "stopped");
    }
    assert_eq!(served.run(waiting[0])["state"], "queued");
    served
        .post(&format!("/api/runs/{first}/pause"), b"{}")
        .json();
    served.until(first, |run| run["state"] == "paused");
    let weight = json!({ "term": 0, "weight": 3.5 }).to_string();
    served
        .post(&format!("/api/runs/{first}/weights"), weight.as_bytes())
        .json();
    assert_eq!(served.run(first)["recipe"]["term"][0]["weight"], 3.5);
    served.post(&format!("/api/runs/{first}/go"), b"{}").json();
    served.until(first, |run| run["state"] == "running");
    served
        .post(&format!("/api/runs/{first}/stop"), b"{}")
        .json();
    served.until(waiting[0], |run| run["state"] == "finished");
    assert_eq!(outputs(&desk).len(), 2);
}

#[test]
fn from_elsewhere_the_token_is_needed() {
    let desk = Desk::new();
    let served = Served::new(&desk, "serve --port 0 --host 0.0.0.0 -o out -q");
    let (_, token) = served.url.split_once("?token=").expect("a token");
    let port = served.address.rsplit(':').next().expect("a port");
    let host = format!("127.0.0.1:{port}");
    let local = Served {
        address: host.clone(),
        url: String::new(),
        tool: desk.start("devices"),
    };
    assert_eq!(local.get("/").status, 401);
    assert_eq!(local.get("/api/devices").status, 401);
    assert_eq!(local.get("/?token=0123").status, 401);
    let page = local.get(&format!("/?token={token}"));
    assert_eq!(page.status, 200);
    let cookie = format!("pixgrad-{port}={token}");
    assert!(page.head.contains(&format!(
        "set-cookie: {cookie}; path=/; httponly; samesite=strict"
    )));
    let answer = local.with(
        "GET /api/devices",
        &[("host", &host), ("cookie", &cookie)],
        b"",
    );
    assert_eq!(answer.status, 200);
}

#[test]
fn a_server_that_cannot_begin_says_why() {
    let desk = Desk::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    desk.refused(&format!("serve --port {port}"), 1, &["is in use", "--port"]);
    desk.refused(
        "serve --host no.such.host.invalid --port 0",
        1,
        &["127.0.0.1 is this one"],
    );
    desk.refused(
        "serve --port 0 -o content.png",
        1,
        &["no picture can be written to 'content.png'"],
    );
    desk.refused(
        &format!("style content.png style.png -o o.png {SHORT} --serve={port}"),
        1,
        &["is in use"],
    );
    desk.refused(
        "style --content-dir . style.png -o out --serve",
        2,
        &["not with --content-dir"],
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_with_the_picture_and_a_kill_leaves_no_half() {
    let desk = Desk::new();
    let served = Served::usual(&desk);
    let number = served.style(&desk, 1_000_000);
    served.until_at_work(number);
    let waiting = served.style(&desk, 5);
    assert_eq!(served.run(waiting)["state"], "queued");
    served.tool.signal(Signal::SIGTERM);
    let output = served.tool.output();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(outputs(&desk).len(), 1);

    for pause in [0, 3, 10, 30] {
        let served = Served::usual(&desk);
        let number = served.style(&desk, 1_000_000);
        served.until_at_work(number);
        served
            .post(&format!("/api/runs/{number}/stop"), b"{}")
            .json();
        std::thread::sleep(Duration::from_millis(pause));
        served.tool.signal(Signal::SIGKILL);
        drop(served.tool.output());
        let hidden = |name: &str| name.starts_with(".pixgrad-");
        for entry in fs::read_dir(desk.path("out")).expect("the folder") {
            // What a killed process leaves is hidden, and the next one removes it.
            let path = entry.expect("an entry").path();
            if path
                .file_name()
                .is_some_and(|name| hidden(&name.to_string_lossy()))
            {
                fs::remove_file(path).expect("removed");
            }
        }
        outputs(&desk);
    }
}

/// Reads events until so many pictures were told.
fn pictures_of(address: &str, wanted: usize) -> usize {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).expect("a time limit");
    let request = format!("GET /api/events?run=1 HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let (mut told, mut part) = (String::new(), [0; 4096]);
    while told.matches("event: image").count() < wanted {
        match stream.read(&mut part) {
            Ok(length) if length > 0 => told += &String::from_utf8_lossy(&part[..length]),
            _ => break,
        }
    }
    assert!(
        told.contains("event: run\n") && told.contains("event: steps\n"),
        "{told}"
    );
    told.matches("event: image").count()
}

#[test]
fn a_command_is_watched_twice_and_stopped() {
    let desk = Desk::new();
    let mut tool =
        desk.start("style content.png style.png -o o.png --size 48 -i 1000000 --serve=0");
    let line = tool.stderr_line_that_begins("watch it at http://");
    let address = line
        .trim_start_matches("watch it at http://")
        .trim()
        .trim_end_matches('/');
    let served = Served {
        address: address.to_string(),
        url: String::new(),
        tool,
    };
    // Before there is a run the list is empty.
    let end = Instant::now() + Duration::from_secs(60);
    while served
        .get("/api/runs")
        .json()
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        assert!(Instant::now() < end);
    }
    std::thread::scope(|scope| {
        let tabs: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| pictures_of(address, 3)))
            .collect();
        for tab in tabs {
            assert_eq!(tab.join().expect("pictures"), 3);
        }
    });
    assert_eq!(served.get("/api/runs/1/image").status, 200);
    assert_eq!(
        served.post("/api/pictures?name=a.png", b"").status,
        400,
        "it is only watched"
    );
    let weight = json!({ "term": 0, "weight": 3.5 }).to_string();
    assert_eq!(
        served.post("/api/runs/1/weights", weight.as_bytes()).status,
        409
    );
    served.post("/api/runs/1/stop", b"{}").json();
    let output = served.tool.output();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("stopped"));
    assert_eq!(desk.load("o.png").size(), (48, 36));
}

#[cfg(target_os = "linux")]
#[test]
fn open_hands_the_address_to_the_browser() {
    use std::os::unix::fs::PermissionsExt as _;

    let desk = Desk::new();
    let browser = desk.path("xdg-open");
    fs::write(&browser, "#!/bin/sh\necho \"$1\" > \"$0.told\"\n").expect("written");
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).expect("executable");
    let path = std::env::join_paths(
        [desk.path(".")]
            .into_iter()
            .chain(["/usr/bin", "/bin"].map(Into::into)),
    );
    let mut command = desk.command("serve --port 0 --open -q");
    command.env("PATH", path.expect("a path"));
    let served = Served::of(desk.spawn(command));
    let end = Instant::now() + Duration::from_secs(30);
    let told = || fs::read_to_string(desk.path("xdg-open.told")).unwrap_or_default();
    while told().trim() != served.url {
        assert!(Instant::now() < end, "{}", told());
        std::thread::sleep(Duration::from_millis(20));
    }
}
