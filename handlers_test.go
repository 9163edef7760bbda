package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The first tests are about the API: what OpenVidu receives, and what a frontend gets. Tests of CORS, the password,
// files, unusual requests and clients that disconnect follow.

func TestAPI(t *testing.T) {
	const unusual = " {\"a\":1e999,\t\"ключ\" :\"\\u00e9\",\"a\":12345678901234567890}\r\n"
	id := strings.Repeat("a", maxSessionID)
	testRows(t, []testExchange{
		{name: "session", request: testSessions, body: testSessionA, openvidu: fakeRecorded, want: "200 SessionA"},
		{name: "session without a body", request: testSessions, openvidu: fakeRecorded, want: "200 SessionA"},
		{name: "session that is already open", request: testSessions, body: testSessionA,
			openvidu: fakeResponse(409, ""), want: "200 SessionA"},
		{name: "OpenVidu's ID counts", request: testSessions, body: `{"customSessionId":"B"}`, openvidu: fakeRecorded,
			want: "200 SessionA"},
		{name: "the body is passed on unchanged", request: testSessions, body: unusual, openvidu: fakeRecorded,
			want: "200 SessionA"},
		{name: "the last customSessionId counts", request: testSessions, openvidu: fakeResponse(409, ""),
			body: `{"customSessionId":"A","customSessionId":"B"}`, want: "200 B"},
		{name: "escapes in the name customSessionId", request: testSessions, openvidu: fakeResponse(409, ""),
			body: `{"custom\u0053essionId":"A"}`, want: "200 A"},
		{name: "null as customSessionId", request: testSessions, body: `{"customSessionId":null}`,
			openvidu: fakeRecorded, want: "200 SessionA"},
		{name: "longest customSessionId", request: testSessions, body: `{"customSessionId":"` + id + `"}`,
			openvidu: fakeResponse(409, ""), want: "200 " + id},
		{name: "customSessionId that is too long", request: testSessions, body: `{"customSessionId":"` + id + `a"}`,
			want: wantCustomSessionID},
		{name: "customSessionId with a slash", request: testSessions, body: `{"customSessionId":"a/b"}`,
			want: wantCustomSessionID},
		{name: "customSessionId with a space", request: testSessions, body: `{"customSessionId":"a b"}`,
			want: wantCustomSessionID},
		{name: "customSessionId with an umlaut", request: testSessions, body: `{"customSessionId":"ä"}`,
			want: wantCustomSessionID},
		{name: "number as customSessionId", request: testSessions, body: `{"customSessionId":5}`,
			want: wantCustomSessionID},
		{name: "array as the last customSessionId", request: testSessions,
			body: `{"customSessionId":"A","customSessionId":[]}`, want: wantCustomSessionID},

		{name: "connection", request: testConnections, body: `{"role":"PUBLISHER"}`, openvidu: fakeRecorded,
			want: "200 " + testToken},
		{name: "connection without a body", request: testConnections, openvidu: fakeRecorded,
			want: "200 " + testToken},
		{name: "the customSessionId of a connection isn't checked", request: testConnections,
			body: `{"customSessionId":5}`, openvidu: fakeRecorded, want: "200 " + testToken},
		{name: "IP camera, which needs no token", request: testConnections, body: `{"type":"IPCAM"}`,
			openvidu: fakeResponse(200, recordedIPCamera), want: "200 "},
		{name: "token that looks like HTML", request: testConnections,
			openvidu: fakeResponse(200, `{"token":"<html>"}`), want: "200 <html>"},
		{name: "session ID with all characters", request: "POST /api/sessions/ses_aB0-9/connections",
			openvidu: fakeRecorded, want: "200 " + testToken},
		{name: "longest session ID", request: "POST /api/sessions/" + id + "/connections",
			openvidu: fakeRecorded, want: "200 " + testToken},
		{name: "session ID that is too long", request: "POST /api/sessions/" + id + "a/connections",
			want: wantSessionNotFound},
		{name: "unknown session", request: testConnections, openvidu: fakeResponse(404, ""),
			want: wantSessionNotFound},
		// From newWebrtcConnection and generateErrorResponse in SessionRestController.java, 2.20.0 to 2.32.2.
		{name: "session that is closing", request: testConnections, openvidu: fakeResponse(404,
			`{"timestamp":1795363586293,"status":404,"error":"Not Found","message":"Session SessionA not found",`+
				`"path":"/openvidu/api/sessions/SessionA/connection"}`), want: wantSessionNotFound},

		{name: "largest body", request: testConnections, body: "{}" + strings.Repeat(" ", maxBody-2),
			openvidu: fakeRecorded, want: "200 " + testToken},
		{name: "largest body for a session", request: testSessions, body: "{}" + strings.Repeat(" ", maxBody-2),
			openvidu: fakeRecorded, want: "200 SessionA"},
		{name: "malformed JSON", request: testSessions, body: `{"hidden":"hidden",}`, want: wantNotJSONObject,
			wantCause: "invalid character '}' looking for beginning of object key string"},
		{name: "malformed JSON for a connection", request: testConnections, body: `{"rtspUri":"hidden",hidden}`,
			want: wantNotJSONObject, wantCause: "invalid character 'h' looking for beginning of object key string"},
		{name: "JSON array", request: testSessions, body: `["hidden"]`, want: wantNotJSONObject,
			wantCause: "json: cannot unmarshal array into Go value of type .*"},
		{name: "JSON null", request: testSessions, body: "null", want: wantNotJSONObject},
		{name: "JSON null for a connection", request: testConnections, body: "null", want: wantNotJSONObject},
		{name: "two JSON objects", request: testConnections, body: `{} {"hidden":1}`, want: wantNotJSONObject,
			wantCause: "invalid character '{' after top-level value"},
		{name: "only white space", request: testConnections, body: " \n", want: wantNotJSONObject,
			wantCause: "unexpected end of JSON input"},
		{name: "body that isn't UTF-8", request: testSessions, body: "{\"hidden\":\"\xc3\"}", want: wantNotUTF8},
		{name: "large body that isn't UTF-8", request: testConnections, want: wantNotUTF8,
			body: "{\"hidden\":\"" + strings.Repeat(" ", maxBody-100) + "\xc3\"}"},

		{name: "invalid property", request: testConnections, body: `{"role":"BOSS"}`, openvidu: fakeRecorded,
			want: "400 Parameter role BOSS is not defined"},
		{name: "OpenVidu's message has two lines", request: testConnections,
			openvidu: fakeResponse(400, `{"error":"Bad Request","message":"100%s\r\n\ttwo"}`), want: "400 100%s two"},
		{name: "OpenVidu's message is longer than 300 characters", request: testConnections, want: "400 a " +
			strings.Repeat("é", 298), openvidu: fakeResponse(400, `{"error":"Bad Request","message":"a `+
			strings.Repeat("é", 299)+`"}`)},
		{name: "OpenVidu's 400 has no message", request: testSessions, openvidu: fakeResponse(400, recordedMalformed),
			want: "400 Bad Request"},
	}, func(t *testing.T, e testExchange) { e.run(t) })
}

// The ServeMux responds to paths and methods without a route, and OpenVidu gets only valid IDs. A preflight allows the
// methods of all routes.
func TestRoutes(t *testing.T) {
	rows := []testExchange{
		{request: "POST /", want: wantNotAllowed, wantHeader: []string{"Allow: GET, HEAD"}},
		{request: "PUT /nowhere", want: wantNotAllowed, wantHeader: []string{"Allow: GET, HEAD"}},
		{request: "POST /api/config", want: wantPageNotFound},
		{request: "POST /api/sessions/", want: wantPageNotFound},
		{request: "DELETE /api/sessions/SessionA", want: wantPageNotFound},
		{request: "GET /api/sessions", want: wantNotAllowed, wantHeader: []string{"Allow: POST"}},
		{request: "PUT /api/sessions/SessionA/connections", want: wantNotAllowed, wantHeader: []string{"Allow: POST"}},
		{request: "OPTIONS /api/sessions", want: wantNotAllowed, wantHeader: []string{"Allow: POST"}}, // no preflight
	}
	for _, id := range []string{"%2e", "%2E.", "a.b", "a;b", "a%2Fb", "a%25", "a%00", "a%20b", "a%FF", "%C3%B3",
		"a%0A", "a%5B", "a%5C", "a%5D", "a%5E", "a%60"} {
		rows = append(rows, testExchange{request: "POST /api/sessions/" + id + "/connections",
			want: wantSessionNotFound})
	}
	for i := range rows {
		rows[i].name = rows[i].request
	}
	testRows(t, rows, func(t *testing.T, e testExchange) { e.run(t) })

	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil)
		preflight := s.send(t, "OPTIONS /api/sessions", "", "Access-Control-Request-Method: POST")
		for _, route := range testRoutes {
			method, _, _ := strings.Cut(route, " ")
			testMatch(t, "preflight", preflight, `Access-Control-Allow-Methods: .*\b`+method)
		}
	})
}

// An unexpected failure is an internal server error, and a panic closes the connection. The log has the cause.
func TestBugs(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		s := startTestWith(t, newFake(nil), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			respondError(w, r, errors.New("a bug"))
		}))
		testEqual(t, "response", s.send(t, testSessions, ""), wantText(wantInternal))
		testLogLine(t, s.log, testSessions, "500 a bug", "")
	})
	testBubble(t, func(t *testing.T) {
		s := startTestWith(t, newFake(nil), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic("a bug")
		}))
		testEqual(t, "response to a panic", s.send(t, testSessions, ""), "unexpected EOF")
		testMatch(t, "log", s.log.lines(), `^level=WARN msg="http: panic serving .*: a bug\\n.*"\n$`)
	})
}

// Nothing leaks from one request into the response, the request to OpenVidu or the log line of the next. OpenVidu
// gets the credentials every time, its cookie from the second time on, and none of the client's headers.
func TestThreeRequests(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		s := startTest(t, fakeRecorded, "OPENVIDU_URL=http://127.0.0.1:4443/a%2Fb/", "CORS_ALLOWED_ORIGINS=https://a")
		text := []string{"Content-Type: text/plain; charset=utf-8", "Vary: Origin", "X-Content-Type-Options: nosniff"}
		first := s.send(t, testSessions+"?a=b", testSessionA, "Origin: https://b", "Cookie: a=b",
			"Content-Type: text/plain", "User-Agent: browser", "X-Forwarded-For: 1.2.3.4",
			"Access-Control-Request-Method: POST")
		testEqual(t, "first response", first, wantResponse(200, "SessionA", text...))
		second := s.send(t, testConnections, `{"role":"BOSS"}`, "Origin: https://b")
		testEqual(t, "second response", second, wantResponse(400, "Parameter role BOSS is not defined\n", text...))
		third := s.send(t, testConnections, "", "Origin: https://a")
		testEqual(t, "third response", third,
			wantResponse(200, testToken, append(text, "Access-Control-Allow-Origin: https://a")...))
		testEqual(t, "log", s.log.lines(), ""+
			wantLogLine(testSessions, "200", "", "origin_not_allowed", "https://b")+
			wantLogLine(testConnections, "400 Parameter role BOSS is not defined", "",
				"origin_not_allowed", "https://b")+
			wantLogLine(testConnections, "200", ""))
		cookie := "Cookie: " + testCookie
		testEqual(t, "requests to OpenVidu", s.openvidu.received(),
			wantReceived("POST /a%2Fb/openvidu/api/sessions", testSessionA)+
				wantReceived("POST /a%2Fb/openvidu/api/sessions/SessionA/connection", `{"role":"BOSS"}`, cookie)+
				wantReceived("POST /a%2Fb/openvidu/api/sessions/SessionA/connection", "{}", cookie))
	})
}

// Pages from the allowed origins, and no others, can read every response of a handler.
func TestCORS(t *testing.T) {
	type row struct {
		name            string
		allowed, origin string
		want            []string // header lines of every response
		wantLogged      bool     // as origin_not_allowed
	}
	rows := []row{
		{allowed: "*", origin: "", want: []string{"Access-Control-Allow-Origin: *"}},
		{allowed: "*", origin: "null", want: []string{"Access-Control-Allow-Origin: *"}},
		{allowed: "*", origin: "https://a", want: []string{"Access-Control-Allow-Origin: *"}},
		{allowed: "https://a,https://b:8080", origin: "https://a",
			want: []string{"Access-Control-Allow-Origin: https://a", "Vary: Origin"}},
		{allowed: "https://a,https://b:8080", origin: "https://b:8080",
			want: []string{"Access-Control-Allow-Origin: https://b:8080", "Vary: Origin"}},
		{allowed: "https://a", origin: "", want: []string{"Vary: Origin"}},
	}
	for _, origin := range []string{"http://localhost", "null", "http://a", "https://A", "https://a.evil.org",
		"https://b.a", "https://a:8080", "https://a,https://b"} {
		rows = append(rows, row{allowed: "https://a,https://b", origin: origin, want: []string{"Vary: Origin"},
			wantLogged: true})
	}
	for i := range rows {
		rows[i].name = fmt.Sprintf("origin %q, allowed %q", rows[i].origin, rows[i].allowed)
	}
	testRows(t, rows, func(t *testing.T, tt row) {
		s := startTest(t, fakeRecorded, "CORS_ALLOWED_ORIGINS="+tt.allowed)
		var origin []string
		if tt.origin != "" {
			origin = []string{"Origin: " + tt.origin}
		}
		var attrs []any
		if tt.wantLogged {
			attrs = []any{"origin_not_allowed", tt.origin}
		}
		text := append(tt.want, "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff")
		testEqual(t, "session", s.send(t, testSessions, "", origin...), wantResponse(200, "SessionA", text...))
		testEqual(t, "error", s.send(t, "POST /api/nowhere", "", origin...),
			wantResponse(404, "404 page not found\n", text...))
		if t.Failed() {
			return // the rest differs for the same reason
		}
		testEqual(t, "requests to OpenVidu", s.openvidu.received(), wantForwarded(testSessions, ""))
		wantLog := wantLogLine(testSessions, "200", "", attrs...) +
			wantLogLine("POST /api/nowhere", wantPageNotFound, "", attrs...)
		for _, preflight := range []struct{ request, method string }{
			{"OPTIONS /api/sessions", "POST"},
			{"OPTIONS /api/sessions/SessionA/connections", "PUT"},
		} {
			header := append(origin, "Access-Control-Request-Method: "+preflight.method,
				"Access-Control-Request-Headers: content-type", "Access-Control-Request-Headers: x-a, x-b")
			testEqual(t, "preflight", s.send(t, preflight.request, "", header...),
				wantResponse(204, "", append(tt.want, "Access-Control-Allow-Headers: content-type",
					"Access-Control-Allow-Headers: x-a, x-b", "Access-Control-Allow-Methods: POST",
					"Access-Control-Max-Age: 7200")...))
			wantLog += wantLogLine(preflight.request, "204", "", attrs...)
		}
		testEqual(t, "requests to OpenVidu after the preflights", s.openvidu.received(), "")
		testEqual(t, "log", s.log.lines(), wantLog)
	})
}

// With API_PASSWORD, every request for a path under /api/ needs the password. Preflights and other paths don't.
func TestPassword(t *testing.T) {
	type row struct{ name, request, authorization, want string }
	rows := []row{
		{name: "right password", request: testSessions, authorization: "Bearer " + testPassword, want: "200 SessionA"},
		{name: "right password for a connection", request: testConnections, authorization: "BEARER " + testPassword,
			want: "200 " + testToken},
		{name: "right password for an unknown path", request: "POST /api/", authorization: "bearer " + testPassword,
			want: wantPageNotFound},
		{name: "right password in a wrong scheme", request: testSessions, authorization: "Basic " + testPassword,
			want: wantPassword},
		{name: "right password without a scheme", request: testSessions, authorization: testPassword,
			want: wantPassword},
		{name: "no password in the scheme", request: testSessions, authorization: "Bearer", want: wantPassword},
	}
	for _, request := range []string{testSessions, testConnections, "GET /api/sessions", "OPTIONS /api/sessions",
		"POST /api/", "DELETE /api/nowhere", "POST /api/sessions%2F"} {
		rows = append(rows, row{name: "no password: " + request, request: request, want: wantPassword})
	}
	for _, password := range []string{"", testPassword[1:], testPassword[:len(testPassword)-1], testPassword + "=",
		strings.ToUpper(testPassword), testPassword + " " + testPassword, testSecret} {
		rows = append(rows, row{name: "wrong password: " + password, request: testSessions,
			authorization: "Bearer " + password, want: wantPassword})
	}
	testRows(t, rows, func(t *testing.T, tt row) {
		s := startTest(t, fakeRecorded, "API_PASSWORD="+testPassword)
		var header, wantHeader []string
		if tt.authorization != "" {
			header = []string{"Authorization: " + tt.authorization}
		}
		wantReceived := ""
		switch tt.want[:3] {
		case "401":
			wantHeader = []string{"Www-Authenticate: Bearer"}
		case "200":
			wantReceived = wantForwarded(tt.request, "")
		}
		testEqual(t, "response", s.send(t, tt.request, "", header...), wantText(tt.want, wantHeader...))
		if t.Failed() {
			return // the rest differs for the same reason
		}
		testLogLine(t, s.log, tt.request, tt.want, "")
		testEqual(t, "requests to OpenVidu", s.openvidu.received(), wantReceived)
		_, target, _ := strings.Cut(tt.request, " ")
		preflight := s.send(t, "OPTIONS "+target, "", "Access-Control-Request-Method: POST")
		testEqual(t, "status of a preflight", preflight[:3], "204")
	})
}

// testFiles creates the given files, each of which contains its name, in a new directory, and returns its path.
func testFiles(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(name), 0o600),
			os.Chtimes(file, testModified, testModified)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var testModified = time.Date(2026, 1, 2, 3, 4, 5, 1000, time.UTC) // the time of the files

// wantFile returns the whole response with a file of testFiles, or with the given body instead.
func wantFile(name, body string, header ...string) string {
	return wantResponse(200, body, append(header, "Accept-Ranges: bytes", "Access-Control-Allow-Origin: *",
		"Cache-Control: no-cache", "Content-Type: "+mime.TypeByExtension(path.Ext(name)), fmt.Sprintf(`Etag: "%x-%x"`,
			testModified.UnixNano(), len(name)), "Last-Modified: Fri, 02 Jan 2026 03:04:05 GMT")...)
}

// With STATIC_DIR, the frontend's files are served at /, and everything under /api/ is still the API's.
func TestFiles(t *testing.T) {
	dir := testFiles(t, "index.html", "app.js", "a b/index.html", "docs/index.html", "docs/deep/index.html",
		"list/a.html", "api/index.html", "vendors~main~12345678.js", "a..b.html")
	etag := fmt.Sprintf(`"%x-a"`, testModified.UnixNano())
	moved := func(location string) string {
		return wantResponse(301, "", "Access-Control-Allow-Origin: *", "Cache-Control: no-cache", "Location: "+location)
	}
	type row struct{ name, header, want string } // name begins with the request
	testRows(t, []row{
		{name: "GET /", want: wantFile("index.html", "index.html")},
		{name: "GET /?a=b", want: wantFile("index.html", "index.html")},
		{name: "GET /index.html", want: wantFile("index.html", "index.html")},
		{name: "GET /app.js", want: wantFile("app.js", "app.js")},
		{name: "GET /vendors~main~12345678.js", want: wantFile("vendors~main~12345678.js", "vendors~main~12345678.js")},
		{name: "GET /a..b.html", want: wantFile("a..b.html", "a..b.html")},
		{name: "GET /docs/", want: wantFile("docs/index.html", "docs/index.html")},
		{name: "GET /docs?a=b", want: moved("docs/?a=b")},
		{name: "GET /docs/deep", want: moved("deep/")},
		{name: "GET /a%20b", want: moved("a%20b/")},
		{name: "GET /list", want: moved("list/")},
		{name: "GET /docs/ in part", header: "Range: bytes=1-3", want: strings.Replace(
			wantFile("docs/index.html", "ocs", "Content-Range: bytes 1-3/15"), "200", "206", 1)},
		{name: "HEAD /docs/", want: wantFile("docs/index.html", "", "Content-Length: 15")},
		{name: "GET / that hasn't changed", header: "If-None-Match: " + etag, want: wantResponse(304, "",
			"Access-Control-Allow-Origin: *", "Cache-Control: no-cache", "Etag: "+etag)},
		{name: "POST /", want: wantText(wantNotAllowed, "Allow: GET, HEAD")},
		{name: "DELETE /docs/index.html", want: wantText(wantNotAllowed, "Allow: GET, HEAD")},
		{name: "POST /api/sessions", want: wantText("200 SessionA")},
		{name: "GET /api/sessions", want: wantText(wantNotAllowed, "Allow: POST")},
		{name: "GET /api/", want: wantText(wantPageNotFound)},
		{name: "GET /api/index.html", want: wantText(wantPageNotFound)},
	}, func(t *testing.T, tt row) {
		s := startTest(t, fakeRecorded, "STATIC_DIR="+dir)
		request := strings.Join(strings.Fields(tt.name)[:2], " ")
		testEqual(t, "response", s.send(t, request, "", cmp.Or(tt.header, "Accept: */*")), tt.want)
		testLogLine(t, s.log, request, tt.want[:3], "")
	})

	testBubble(t, func(t *testing.T) {
		if runtime.GOOS != "windows" { // which has no colons in names
			s := startTest(t, nil, "STATIC_DIR="+testFiles(t, "a:b/index.html"))
			testEqual(t, "a colon in a name", s.send(t, "GET /a:b", ""), moved("./a:b/"))
		}
	})
}

// Without STATIC_DIR, the built-in page is served at /, and nothing else.
func TestBuiltInPage(t *testing.T) {
	page, err := os.ReadFile("public/index.html")
	if err != nil {
		t.Fatal(err)
	}
	ok := func(body string) string {
		return wantResponse(200, body, "Accept-Ranges: bytes", "Access-Control-Allow-Origin: *",
			"Cache-Control: no-cache", fmt.Sprint("Content-Length: ", len(page)),
			"Content-Type: text/html; charset=utf-8")
	}
	type row struct {
		name, want string // name is the request
		wantError  string // in the log
	}
	notFound := wantText(wantPageNotFound, "Cache-Control: no-cache")
	testRows(t, []row{
		{name: "GET /", want: ok(string(page))},
		{name: "GET /?a=b", want: ok(string(page))},
		{name: "HEAD /index.html", want: ok("")},
		{name: "GET /public/index.html", want: notFound, wantError: "open public/index.html: file does not exist"},
		{name: "GET /handlers.go", want: notFound, wantError: "open handlers.go: file does not exist"},
		{name: "GET /%2Findex.html", want: notFound, wantError: "open /index.html: invalid argument"},
	}, func(t *testing.T, tt row) {
		s := startTest(t, nil, "API_PASSWORD="+testPassword)
		testEqual(t, "response", s.send(t, tt.name, ""), tt.want)
		var attrs []any
		if tt.wantError != "" {
			attrs = []any{"error", tt.wantError}
		}
		testEqual(t, "log", s.log.lines(), wantLogLine(tt.name, tt.want[:3], "", attrs...))
	})
}

// pageFakes takes the place of openvidu-browser in TestPage. It records what the page calls.
const pageFakes = `{
  class Emitter {
    handlers = {};
    on(type, handler) { (this.handlers[type] ??= []).push(handler); }
    emit(type, event) { (this.handlers[type] ?? []).forEach((handler) => handler(event)); }
  }
  class StreamManager extends Emitter {
    constructor(target) {
      super();
      if (target) this.createVideoElement(target);
    }
    createVideoElement(target, insertMode) {
      this.video = document.createElement("video");
      this.video.width = 2000; // of the camera
      target[insertMode === "PREPEND" ? "prepend" : "append"](this.video);
    }
    leave() {
      this.video.remove();
      this.emit("videoElementDestroyed", {});
    }
  }
  class Session extends Emitter {
    async connect(token, ...rest) {
      call("connect", token, ...rest);
      this.sessionId = new URL(token).searchParams.get("sessionId");
      this.capabilities = { publish: !fake.isViewer };
      fake.present.forEach((data) => fake.join(data));
    }
    subscribe(stream, target, callback) {
      call("subscribe");
      setTimeout(() => callback(stream.error));
      return fake.subscribers[stream.connection.data] = new StreamManager(target);
    }
    async publish(publisher) { call(publisher === fake.publisher ? "publish" : "publish something else"); }
    disconnect() {
      call("disconnect");
      sessionStorage.setItem("calls" + location.search, fake.calls.join("\n")); // for after a reload
    }
  }
  window.OpenVidu = class {
    initSession() { return fake.session = new Session(); }
    async initPublisherAsync(target, ...rest) {
      call("initPublisher", ...rest);
      return fake.publisher = new StreamManager(target);
    }
  };
  const call = (...args) => {
    fake.calls.push(args.join(" "));
    if (fake.failures[args[0]]) throw fake.failures[args[0]];
  };
  window.fake = {
    calls: [],
    failures: {}, // by the method that throws them
    present: [], // data of those who publish already
    subscribers: {}, // by their data
    // somebody publishes; if error is set, subscribing to the stream fails
    join(data, error) { this.session.emit("streamCreated", { stream: { connection: { data }, error } }); },
  };
  Date.prototype.toLocaleTimeString = () => "12:34:56";
  // Only one of several frames can have the focus.
  HTMLElement.prototype.focus = function () { if (this.checkVisibility()) fake.focused = this; };
}`

// pageDriver runs the script of a row of TestPage (one of SCRIPTS) in the page, and posts the result to the parent
// window.
const pageDriver = `{
  const number = new URLSearchParams(location.search).get("row");
  const reloaded = performance.getEntriesByType("navigation")[0].type === "reload";
  const type = (field, text) => { document.querySelector("input[name=" + field + "]").value = text; };
  const click = (text) => [...document.querySelectorAll("button")].find((b) => b.textContent === text).click();
  const look = () => {
    const visible = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
    return [
      ...visible("input").map((e) => e.name + (e === fake.focused ? " (focused): " : ": ") + e.value),
      ...visible("button").map((e) => "[" + e.textContent + "]"),
      ...visible("[role=status] p").map((e) => e.innerText),
      ...(document.documentElement.scrollWidth > innerWidth ? ["the page is too wide"] : []),
      ...visible("figure").map((e) => {
        const videos = [...e.querySelectorAll("video")].filter((video) => video.offsetWidth <= e.offsetWidth);
        return videos.length + " video: " + e.innerText.trim();
      }),
      ...fake.calls,
      ...(reloaded ? ["before the reload", sessionStorage.getItem("calls" + location.search)] : []),
    ].filter((line) => line).join("\n");
  };
  const until = async (text) => {
    for (let i = 0; !look().includes(text); i++) {
      if (i === 100) throw new Error("waited for " + text + " in vain\n" + look());
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const join = async (text = "\npublish", name = "Ann & Co") => {
    type("session", "row" + number);
    type("name", name);
    click("Join");
    await until(text);
  };
  const scripts = [SCRIPTS];
  scripts[number]().catch((error) => error).then((result) => {
    parent.postMessage([number, String(result ?? look())], "*");
  });
}`

// TestPage can't check these parts of the page.
func TestPageText(t *testing.T) {
	page := testRead(t, "public/index.html")
	for _, text := range []string{
		`<meta name="viewport" content="width=device-width">`,
		`<link rel="icon" href="data:,">`,
		`<script src="https://cdn.jsdelivr.net/npm/openvidu-browser@2.31.0/static/js/openvidu-browser-2.31.0.min.js"
    integrity="sha384-dVBj+sx7AtE2MeAGHCa1kovDwpjg2T/FltWmm18JT4YUkyXgH6AFUZPfILZbyLxM" crossorigin="anonymous"></script>`,
		`<input name="name" autocomplete="name">`,
		`<input name="password" type="password" autocomplete="current-password" required`,
		`<div role="status">`,
		`window.addEventListener("pagehide", () => session.disconnect());`, // phones don't always have beforeunload
	} {
		testContains(t, "the page", page, text)
	}
}

// In a browser, the page in public shows what happens in a call.
func TestPage(t *testing.T) {
	t.Parallel()
	var browser string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
		}
	}
	if browser == "" {
		t.Skip("neither Chromium nor Chrome is in the PATH")
	}

	const (
		form      = "session: ROW\nname: Ann & Co\n[Join]\n"
		connected = "[Leave]\nConnected to ROW\n"
		again     = "\nTo try again, leave and join.\n"
		ann       = "1 video: Ann & Co\n"
		connect   = "connect ws://localhost:4443?sessionId=ROW&token=tok_ROW"
		publish   = connect + "\ninitPublisher\npublish"

		session    = `POST /openvidu/api/sessions {"customSessionId":"ROW"}` + "\n"
		connection = `POST /openvidu/api/sessions/ROW/connection {"data":"Ann & Co"}` + "\n"
	)
	// The fields accept what this server accepts.
	accepted := func(values []string, accepts func(string) bool) string {
		return strings.Join(slices.DeleteFunc(values, func(value string) bool { return !accepts(value) }), " ")
	}
	ids := []string{"SessionA", "a-b_9", "", "-", "a,b", "a/b", "ä", `a\`, "a."}
	passwords := []string{testPassword, "a=b", "=", "a,b", "ä", `a\`, "a&b", "a|b"}
	accept, _ := json.Marshal([][]string{ids, passwords})

	_, wrongPassword, _ := strings.Cut(wantPassword, " ")
	_, notFound, _ := strings.Cut(wantSessionNotFound, " ")
	_, openviduFailed, _ := strings.Cut(wantFailed, " ")
	rows := []struct {
		name     string
		password bool   // whether this server wants one
		openvidu []int  // statuses of OpenVidu's first responses; the others are 200
		script   string // what people and the library do
		want     string // what the page shows, and what it calls; ROW stands for the session's ID
		received string // method, path and body of the requests that OpenVidu receives
	}{
		{name: "before joining", script: ``, want: "session: SessionA\nname: \n[Join]"},
		{name: "patterns", script: `const accepts = (name, values) => values.filter((value) => {
				type(name, value);
				document.querySelector("input[name=" + name + "]").disabled = false;
				return document.querySelector("input[name=" + name + "]").checkValidity();
			}).join(" ");
			const [ids, passwords] = ` + string(accept) + `;
			return accepts("session", ids) + "\n" + accepts("password", passwords);`,
			want: accepted(ids, isSessionID) + "\n" + accepted(passwords, bearerPattern.MatchString)},
		{name: "requesting", script: `window.fetch = () => new Promise(() => {}); await join("Requesting");`,
			want: "[Leave]\nRequesting a token …"},
		{name: "alone", script: `await join();`, want: connected + ann + publish, received: session + connection},
		{name: "without a name", script: `await join("\npublish", "");`, want: connected + "1 video: (no name)\n" + publish,
			received: strings.Replace(session+connection, "Ann & Co", "", 1)},
		{name: "others who came first", script: `fake.present = ["Bob"]; await join();`, received: session + connection,
			want: connected + "1 video: Bob\n" + ann + connect + "\nsubscribe\ninitPublisher\npublish"},
		{name: "others", script: `await join(); fake.join("<b>Bob</b> <img src=x>"); fake.join(); fake.join("Eve");
			fake.subscribers.Eve.leave(); fake.join("x".repeat(100));`,
			want: connected + ann + "1 video: <b>Bob</b> <img src=x>\n1 video: (no name)\n1 video: " +
				strings.Repeat("x", 100) + "\n" + publish + strings.Repeat("\nsubscribe", 4),
			received: session + connection},
		{name: "Leave", script: `if (!reloaded) { await join(); click("Leave"); await new Promise(() => {}); }`,
			want: form + "before the reload\n" + publish + "\ndisconnect", received: session + connection},
		{name: "session that closes between the requests", openvidu: []int{200, 404}, script: `await join();`,
			want: connected + ann + publish, received: session + connection + session + connection},
		{name: "session that closes twice", openvidu: []int{200, 404, 200, 404}, script: `await join("not found");`,
			want: form + notFound, received: session + connection + session + connection},
		{name: "OpenVidu fails", openvidu: []int{503}, script: `await join("failed");`, want: form + openviduFailed,
			received: session},
		{name: "OpenVidu recovers", openvidu: []int{503}, script: `await join("failed"); await join();`,
			want: connected + ann + publish, received: session + session + connection},
		{name: "HTML from another server", script: `
			window.fetch = async () => new Response("<h1>Gone</h1>\n", { status: 502 });
			await join("Gone");`, want: form + "<h1>Gone</h1>"},
		{name: "error without a text", script: `window.fetch = async () => new Response("", { status: 500 });
			await join("500");`, want: form + "Status 500"},
		{name: "no network", script: `window.fetch = async () => { throw new TypeError("no network"); };
			await join("no network");`, want: form + "no network"},
		{name: "no library", script: `delete window.OpenVidu; await join("see");`,
			want: form + "openvidu-browser didn't load: see the browser's console."},

		{name: "password", password: true, script: `await join("wrong"); type("password", "` + testPassword + `");
			click("Join"); await until("\npublish")`, want: connected + ann + publish, received: session + connection},
		{name: "no password", password: true, script: `await join("wrong"); click("Join");`,
			want: "session: ROW\nname: Ann & Co\npassword (focused): \n[Join]\n" + wrongPassword},
		{name: "wrong password", password: true, script: `await join("wrong"); type("password", "wrong-password-16");
			click("Join"); await until("[Join]");`, want: "session: ROW\nname: Ann & Co\n" +
			"password (focused): wrong-password-16\n[Join]\n" + wrongPassword},
		{name: "invalid password that the browser fills in", script: `type("password", "invalid!"); await join();`,
			want: connected + ann + publish, received: session + connection},
		{name: "Leave with a password", password: true, script: `
			if (reloaded) return JSON.stringify(history.state) + [...document.querySelectorAll("input")].at(-1).value;
			await join("wrong"); type("password", "` + testPassword + `"); click("Join"); await until("\npublish");
			click("Leave"); await new Promise(() => {});`, want: `{"session":"ROW","name":"Ann & Co"}`,
			received: session + connection},
		{name: "password after a wrong one", password: true, script: `await join("wrong");
			type("password", "wrong-password-16"); click("Join"); await until("[Join]");
			type("password", "` + testPassword + `"); click("Join"); await until("\npublish")`,
			want: connected + ann + publish, received: session + connection},

		{name: "no connection", script: `fake.failures.connect = { code: 1, message: "refused" };
			await join("refused");`, received: session + connection,
			want: "[Leave]\nConnecting to localhost:4443 …\nrefused" + again + connect},
		{name: "viewer", script: `fake.isViewer = true; await join("Connected");`, want: connected + connect,
			received: session + connection},
		{name: "no camera", script: `fake.failures.initPublisher = new Error("NotFoundError"); await join("NotFound");`,
			want: connected + "NotFoundError" + again + connect + "\ninitPublisher", received: session + connection},
		{name: "no permission to publish", script: `fake.failures.publish = "denied"; await join("denied");`,
			want: connected + "denied" + again + ann + publish, received: session + connection},
		{name: "failed subscription", script: `await join(); fake.join("Bob", new Error("gone")); await until("gone");
			fake.session.emit("exception", { name: "NO_STREAM_PLAYING_EVENT", origin: fake.subscribers.Bob });`,
			want: connected + ann + "1 video: Bob gone\n" + publish + "\nsubscribe", received: session + connection},
		{name: "no media", script: `await join(); fake.join("Bob"); fake.join("Eve");
			const { Bob, Eve } = fake.subscribers;
			fake.session.emit("exception", { name: "NO_STREAM_PLAYING_EVENT", origin: Eve });
			fake.session.emit("exception", { name: "NO_STREAM_PLAYING_EVENT", origin: Bob });
			Eve.emit("streamPlaying");`, want: connected + ann + "1 video: Bob no audio or video arrives\n" +
			"1 video: Eve\n" + publish + "\nsubscribe\nsubscribe", received: session + connection},
		{name: "exception without a video", script: `await join();
			fake.session.emit("exception", { name: "ICE_CONNECTION_FAILED", message: "failed", origin: {} });`,
			want:     connected + "12:34:56 ICE_CONNECTION_FAILED: failed\n" + ann + publish,
			received: session + connection},
		{name: "lost connection", script: `await join(); fake.session.emit("reconnecting");`,
			want: "[Leave]\nConnecting to localhost:4443 …\n" + ann + publish, received: session + connection},
		{name: "recovered connection", script: `await join(); fake.session.emit("reconnecting");
			fake.session.emit("reconnected");`, want: connected + ann + publish, received: session + connection},
		{name: "closed session", script: `await join(); fake.publisher.leave();
			fake.session.emit("sessionDisconnected", { reason: "closed" });`,
			want: "[Leave]\nDisconnected: closed\n" + publish, received: session + connection},
	}

	var mu sync.Mutex
	received := make([]string, len(rows))
	responded := make([]int, len(rows))
	f := newFake(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		match := regexp.MustCompile(`row(\d+)`).FindStringSubmatch(r.URL.Path + string(body))
		if match == nil { // a start-up check
			fakeRecorded(w, r)
			return
		}
		i, _ := strconv.Atoi(match[1])
		mu.Lock()
		defer mu.Unlock()
		received[i] += fmt.Sprintf("%s %s %s\n", r.Method, r.URL.Path, body)
		status := 200
		if responded[i] < len(rows[i].openvidu) {
			status = rows[i].openvidu[responded[i]]
		}
		responded[i]++
		if status != 200 {
			fakeResponse(status, "")(w, r)
			return
		}
		fakeResponse(200, strings.ReplaceAll(
			`{"id":"ROW","token":"ws://localhost:4443?sessionId=ROW&token=tok_ROW"}`, "ROW", match[0]))(w, r)
	})
	f.start(t, nil)

	dir := t.TempDir()
	settings := []string{"SERVER_ADDRESS=127.0.0.1", "SERVER_PORT=0", "OPENVIDU_URL=" + f.URL, "STATIC_DIR=" + dir}
	open := startProgram(t, testDir("", ""), settings...)
	protected := startProgram(t, testDir("", ""), append(settings, "API_PASSWORD="+testPassword)...)
	frames, scripts := "", ""
	for i, row := range rows {
		server := "/"
		if row.password {
			server = "http://" + protected.address + "/"
		}
		frames += fmt.Sprintf("<iframe src='/?row=%d&server=%s'></iframe>\n", i, server)
		scripts += "async () => {" + row.script + "},\n"
	}
	library := regexp.MustCompile(`<script src="https:(?s:.*?)></script>`)
	page := testRead(t, "public/index.html")
	testEqual(t, "libraries of the page", len(library.FindAllString(page, -1)), 1)
	page = library.ReplaceAllLiteralString(page, "<script>"+pageFakes+"</script>")
	testEqual(t, "servers of the page", strings.Count(page, `const server = "/";`), 1)
	page = strings.Replace(page, `server = "/"`, `server = new URLSearchParams(location.search).get("server")`, 1)
	page += "<script>" + strings.Replace(pageDriver, "SCRIPTS", scripts, 1) + "</script>"
	top := `<pre></pre><script>const results = {};
		addEventListener("message", ({ data: [row, result] }) => {
			results[row] = result;
			document.querySelector("pre").textContent = JSON.stringify(results);
		});</script>` + frames
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "index.html"), []byte(page), 0o600),
		os.WriteFile(filepath.Join(dir, "rows.html"), []byte(top), 0o600)); err != nil {
		t.Fatal(err)
	}

	profile, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile) // may fail if a process of the browser is still writing
	// On a busy core, a browser takes long.
	ctx, cancel := context.WithTimeout(t.Context(), 12*testPatience)
	defer cancel()
	dom, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+profile,
		"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--virtual-time-budget=10000", "--dump-dom",
		"http://"+open.address+"/rows.html").Output()
	if err != nil {
		t.Fatalf("%s: %v (a page that hangs?)", browser, err)
	}
	var results map[string]string
	found := testFind(string(dom), `<pre>(.*?)</pre>`)
	if len(found) != 1 || json.Unmarshal([]byte(html.UnescapeString(found[0])), &results) != nil {
		t.Fatalf("%s printed\n%.1000s", browser, dom)
	}
	mu.Lock() // a handler may still be running
	defer mu.Unlock()
	failed := 0
	for i, row := range rows {
		if !t.Run(row.name, func(t *testing.T) {
			result, ok := results[strconv.Itoa(i)]
			if !ok {
				t.Fatal("the script didn't end, or the page was left")
			}
			id := strings.NewReplacer("ROW", fmt.Sprint("row", i))
			testEqual(t, "result", result, id.Replace(row.want))
			testEqual(t, "requests to OpenVidu", received[i], id.Replace(row.received))
		}) {
			failed++
		}
		if failed == 3 {
			t.Fatal("three rows failed: the others are skipped")
		}
	}
}

// Names that start with a dot and links that lead outside are never served, and directories are never listed. The log
// says why, unless the name is hidden.
func TestHiddenFiles(t *testing.T) {
	parent := testFiles(t, "public/index.html", "public/.private/index.html", "public/docs/.private/a.html",
		"public/docs/.htaccess", "public/list/a.html", "public/.env", "public/.well-known/a.html",
		`public/list\.b.html`, "secret.html", "secret/index.html", "public-sibling/index.html")
	dir := filepath.Join(parent, "public")
	links := map[string]string{"inside.html": "index.html", "outside.html": "../secret.html", "outside": "../secret",
		"docs/outside": "../../secret", "sibling": "../public-sibling",
		"absolute.html": filepath.Join(dir, "index.html")}
	for link, target := range links {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(dir, link)); err != nil &&
			runtime.GOOS != "windows" {
			t.Fatal(err) // Windows needs a privilege for links
		}
	}
	type row struct{ name, opened string } // the path that is requested, and the name in dir that is opened
	testRows(t, []row{                     // what matters most comes first, because testRows stops after three failures
		{name: "/outside.html", opened: "outside.html"},
		{name: "/outside/", opened: "outside/index.html"},
		{name: "/outside", opened: "outside"},
		{name: "/docs/outside/", opened: "docs/outside/index.html"},
		{name: "/sibling/", opened: "sibling/index.html"},
		{name: "/absolute.html", opened: "absolute.html"},
		{name: "/%2Fsecret.html", opened: "/secret.html"},
		{name: "/.env"},
		{name: "/%2eenv"},
		{name: "/.private/"},
		{name: "/.well-known/a.html"},
		{name: "/docs/.private/a.html"},
		{name: "/docs%2F.htaccess"},
		{name: "/list%5C.b.html"},
		{name: "/%2e%2e/secret.html"},
		{name: "/..%2Fsecret.html"},
		{name: "/..%5Csecret.html"},
		{name: "/docs/%2e%2e/%2e%2e/secret.html"},
		{name: "/nothing.html", opened: "nothing.html"},
		{name: "/index.html/", opened: "index.html/index.html"},
		{name: "/list/", opened: "list/index.html"},
		{name: "/%2F", opened: "/index.html"},
		{name: "/%00", opened: "\x00"},
	}, func(t *testing.T, tt row) {
		s := startTest(t, nil, "STATIC_DIR="+dir)
		testEqual(t, "response", s.send(t, "GET "+tt.name, ""), wantText(wantPageNotFound, "Cache-Control: no-cache"))
		if t.Failed() {
			return // the log differs for the same reason
		}
		var attrs []any
		if tt.opened != "" {
			_, err := os.OpenInRoot(dir, tt.opened)
			attrs = []any{"error", err}
		}
		testEqual(t, "log", s.log.lines(), wantLogLine("GET "+tt.name, wantPageNotFound, "", attrs...))
	})
	testBubble(t, func(t *testing.T) {
		if runtime.GOOS != "windows" {
			s := startTest(t, nil, "STATIC_DIR="+dir)
			testMatch(t, "a link within the directory", s.send(t, "GET /inside.html", ""),
				"(?s)^200\n.*\n\npublic/index.html$")
		}
	})
}

// A build may replace files, and the whole directory, while this server runs.
func TestReplacedFiles(t *testing.T) {
	dir := testFiles(t, "index.html", "docs/index.html")
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil, "STATIC_DIR="+dir)
		check := func(name, path, want string) {
			t.Helper()
			testMatch(t, name, s.send(t, "GET "+path, ""), "(?s)^"+want+"$")
		}
		write := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		check("file", "/", "200\n.*\n\nindex.html")
		write("index.html", "edited")
		check("edited file", "/", "200\n.*\n\nedited")
		check("directory", "/docs", "301\n.*")
		write("new.html", "new")
		check("new file", "/new.html", "200\n.*\n\nnew")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		check("removed directory", "/", "404\n.*")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		check("empty directory", "/", "404\n.*")
		write("index.html", "recreated")
		check("recreated directory", "/", "200\n.*\n\nrecreated")
		if runtime.GOOS != "windows" { // which needs a privilege for links
			old, current := testFiles(t, "index.html"), filepath.Join(t.TempDir(), "current")
			os.Symlink(old, current)
			s = startTest(t, nil, "STATIC_DIR="+current)
			check("directory behind a link", "/", "200\n.*\n\nindex.html")
			if err := errors.Join(os.Remove(current), os.Symlink(dir, current)); err != nil {
				t.Fatal(err)
			}
			check("directory behind another link", "/", "200\n.*\n\nrecreated")
		}

		descriptors, _ := os.ReadDir("/proc/self/fd") // only Linux has it
		for _, d := range descriptors {
			if file, _ := os.Readlink("/proc/self/fd/" + d.Name()); strings.HasPrefix(file, dir) {
				t.Errorf("%s is still open", file)
			}
		}
	})
}

// A download has fileTimeout to reach a slow client.
func TestSlowDownload(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bundle.js"), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	type row struct {
		name  string
		takes time.Duration
		want  bool // the whole file arrives
	}
	testRows(t, []row{
		{name: "in time", takes: fileTimeout - 10*time.Second, want: true},
		{name: "too late", takes: fileTimeout + 10*time.Second, want: false},
	}, func(t *testing.T, tt row) {
		s := startTest(t, nil, "STATIC_DIR="+dir)
		c := s.dial(t)
		c.SetDeadline(time.Time{})
		io.WriteString(c, testRequest("GET /bundle.js", ""))
		reader := bufio.NewReader(c)
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		var read int64
		for range 100 {
			time.Sleep(tt.takes / 100)
			n, _ := io.CopyN(io.Discard, resp.Body, 1_000)
			read += n
		}
		testEqual(t, "the whole file arrives", read == 100_000, tt.want)
	})
}

// A client that sends an unusual, invalid or oversized request gets a response.
func TestClientFaults(t *testing.T) {
	const chunked = "Transfer-Encoding: chunked"
	large := strings.Repeat(" ", 1_000_000)
	post := func(body string, header ...string) string { return testRequest(testConnections, body, header...) }
	closed := []string{"Connection: close"}
	type row struct {
		name, raw, want string
		wantHeader      []string
		wantCause       string
	}
	testRows(t, []row{
		{name: "HTTP/1.0, as from nginx", raw: strings.Replace(post("{}"), "HTTP/1.1", "HTTP/1.0", 1),
			want: "200 " + testToken, wantHeader: closed},
		{name: "chunked body", raw: post("2\r\n{}\r\n0\r\n\r\n", chunked), want: "200 " + testToken},
		{name: "empty chunked body", raw: post("0\r\n\r\n", chunked), want: "200 " + testToken},
		{name: "invalid chunk", raw: post("8\r\n{\"hidden\r\nx\r\n", chunked), want: wantUnreadableBody,
			wantHeader: closed, wantCause: "invalid byte in chunk length"},
		{name: "header of 19 KiB", raw: post("", "A: "+strings.Repeat("a", 19<<10)), want: "200 " + testToken},
		{name: "body that is a byte too large", raw: post("{}" + large[:maxBody-1]), want: wantLargeBody,
			wantHeader: closed},
		{name: "chunked body that is a byte too large", want: wantLargeBody, wantHeader: closed,
			raw: post(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", maxBody+1, large[:maxBody+1]), chunked)},
		{name: "body of 1 MB", raw: post(large), want: wantLargeBody, wantHeader: closed},
	}, func(t *testing.T, tt row) {
		s := startTest(t, fakeRecorded)
		testEqual(t, "response", s.sendRaw(t, tt.raw), wantText(tt.want, tt.wantHeader...))
		testLogLine(t, s.log, testConnections, tt.want, tt.wantCause)
	})
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil)
		c := s.dial(t)
		io.WriteString(c, strings.TrimSuffix(post("{}  "), "  ")) // a JSON object, but not the whole body
		c.Close()
		synctest.Wait()
		testLogLine(t, s.log, testConnections, wantUnreadableBody, "unexpected EOF")
		testEqual(t, "requests to OpenVidu", s.openvidu.received(), "")
	})
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil)
		testEqual(t, "response to a header of 21 KiB", s.sendRaw(t, post("", "A: "+strings.Repeat("a", 21<<10))),
			"431\nConnection: close\nContent-Type: text/plain; charset=utf-8\n\n431 Request Header Fields Too Large")
	})
}

// A body that isn't needed is read before the connection closes: otherwise TCP would reset the connection, and the
// response could be lost. A client that waits for 100 Continue doesn't send its body.
func TestUnreadBodies(t *testing.T) {
	body := strings.Repeat(" ", maxBody)
	waiting := strings.TrimSuffix(testRequest("POST /api/nowhere", body, "Expect: 100-continue"), body)
	type row struct{ name, raw, want string }
	testRows(t, []row{
		{name: "no password", raw: testRequest(testSessions, body, "Connection: close"), want: "401"},
		{name: "unknown path", raw: testRequest("POST /api/nowhere", body, "Connection: close"), want: "404"},
		{name: "method that files don't have", raw: testRequest("POST /", body, "Connection: close"), want: "405"},
		{name: "wrong method", raw: testRequest("PUT /api/sessions", body, "Connection: close"), want: "405"},
		{name: "preflight", raw: testRequest("OPTIONS /api/sessions", body, "Connection: close",
			"Access-Control-Request-Method: POST"), want: "204"},
		{name: "client that waits for 100 Continue", raw: waiting, want: "404"},
	}, func(t *testing.T, tt row) {
		settings := ""
		if tt.want == "401" {
			settings = "API_PASSWORD=" + testPassword
		}
		s := startTest(t, nil, settings)
		start := time.Now()
		c := s.dial(t)
		written := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, tt.raw)
			written <- err
		}()
		testEqual(t, "status", testReadResponse(c, "POST")[:3], tt.want)
		testEqual(t, "error of the client that writes", <-written, nil)
		testEqual(t, "time", time.Since(start), 0)
	})
}

// When a client disconnects, the request to OpenVidu is canceled immediately, and the log shows a 499 at level INFO.
func TestClientDisconnects(t *testing.T) {
	type row struct{ name, request, body string }
	testRows(t, []row{
		{name: "session that others can share", request: testSessions, body: testSessionA},
		{name: "session", request: testSessions},
		{name: "connection", request: testConnections},
	}, func(t *testing.T, tt row) {
		canceled := make(chan bool, 1)
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			canceled <- true
		})
		c := s.dial(t)
		io.WriteString(c, testRequest(tt.request, tt.body))
		synctest.Wait()
		c.Close()
		synctest.Wait()
		testEqual(t, "requests to OpenVidu that were canceled immediately", len(canceled), 1)
		testLogLine(t, s.log, tt.request, wantDisconnected, "")
	})
}
