// Package config owns what an operator can set: the names, the defaults, the
// limits and the words that explain them.
//
// It reads a TOML file, GATECAST_ variables and flags into plain values, and
// tells every mistake at once with its place. It never acts on a value: it
// opens no file but the settings file, and imports no other part of the
// server. The desc tags below are the manual (docs/config.md is made of them).
// Start at [Load] and [Config].
package config

import "time"

// Config is every setting. A section is a table of the file, a tag "toml" the
// name of a setting in it, and section.name is the name of its flag.
type Config struct {
	Server    Server    `toml:"server" desc:"The address clients connect to, and how the server stops."`
	TLS       TLS       `toml:"tls" desc:"Certificates for HTTPS and WSS. Off unless both files are named."`
	Log       Log       `toml:"log" desc:"What is written to standard error."`
	Registry  Registry  `toml:"registry" desc:"Apps, tokens and subscriptions, kept beside the journal."`
	Journal   Journal   `toml:"journal" desc:"The log of events on disk: the truth everything else is read from."`
	Ingest    Ingest    `toml:"ingest" desc:"POST /api/v1/events: how much a sender may hand over at once."`
	Photos    Photos    `toml:"photos" desc:"Photos that come with events, and the images of sources: kept in files, served at GET /v1/image/{type}/{id}."`
	MQTT      MQTT      `toml:"mqtt" desc:"The door for devices that publish their events over MQTT 3.1.1. Off unless listen is set."`
	WebSocket WebSocket `toml:"websocket" desc:"Connections of the SenseLink push protocol."`
	Resume    Resume    `toml:"resume" desc:"How the server remembers what each consumer has, and sends it the rest."`
	SSE       SSE       `toml:"sse" desc:"GET /api/v1/events/stream: events for browsers and curl."`
	Hooks     Hooks     `toml:"hooks" desc:"Event subscriptions: events posted to subscribers' URLs."`
	Devices   Devices   `toml:"devices" desc:"Whose silence means what: the devices that events come from."`
	Canary    Canary    `toml:"canary" desc:"An event that the server sends itself, to see that events arrive."`
	Sources   Upstreams `toml:"sources" desc:"SenseLink servers that events are taken from, and the quarantine of what could not be understood of them."`
	Hub       Hub       `toml:"hub" desc:"The live fan-out between the journal and the connections."`
	Metrics   Metrics   `toml:"metrics" desc:"GET /metrics for Prometheus."`
}

// Server is the HTTP listener and the way it stops.
type Server struct {
	Listen            string        `toml:"listen" desc:"Address to listen on, host:port. An empty host means every interface; port 0 takes a free one." check:"address"`
	Data              string        `toml:"data" desc:"Directory of the journal and the registry. Made if missing; one server at a time may use it." check:"required"`
	ShutdownTimeout   time.Duration `toml:"shutdown_timeout" desc:"How long a stop may take in all. When it has passed, what is still open is cut; accepted events are on disk either way." min:"1s" max:"10m"`
	DrainSpread       time.Duration `toml:"drain_spread" desc:"On a stop, sockets are closed in random order over this time, so that clients do not all come back at the same moment. Must be shorter than shutdown_timeout." min:"0s" max:"5m"`
	MaxHeader         Size          `toml:"max_header" desc:"Largest request line and headers together. More is answered with 431." min:"4KiB" max:"1MiB"`
	ReadHeaderTimeout time.Duration `toml:"read_header_timeout" desc:"How long a client may take to send its headers before it is cut off." min:"100ms" max:"5m"`
}

// TLS is the server's certificate.
type TLS struct {
	Cert       string `toml:"cert" desc:"PEM file with the certificate and its chain. Empty turns TLS off."`
	Key        string `toml:"key" desc:"PEM file with the certificate's private key. Needed exactly when cert is set."`
	MinVersion string `toml:"min_version" desc:"Oldest TLS version accepted." oneof:"1.2|1.3"`
}

// Log is the program's own log.
type Log struct {
	Level  string `toml:"level" desc:"Least important lines to write." oneof:"debug|info|warn|error"`
	Format string `toml:"format" desc:"Shape of the lines. auto is text on a terminal and json elsewhere." oneof:"auto|text|json"`
}

// Registry is the store of apps and tokens.
type Registry struct {
	KeyFile string `toml:"key_file" desc:"File of the key that app secrets are encrypted with, mode 0600, made if missing. Empty means secret.key in server.data; elsewhere is better, for then a copy of the data directory gives no secret away."`
}

// Journal is the durable log.
type Journal struct {
	URL         string        `toml:"url" desc:"NATS servers (JetStream) that hold the journal, such as nats://host:4222, several with commas. Empty means the one built in, in server.data." check:"natsurl" secret:"url"`
	Replicas    int           `toml:"replicas" desc:"Copies of the journal in a NATS cluster. More than 1 needs url." min:"1" max:"5"`
	Sync        string        `toml:"sync" desc:"always writes each batch through to the disk before it is accepted. interval does so from time to time: faster, and a power cut loses the newest accepted events (a crash of the program alone does not)." oneof:"always|interval"`
	MaxAge      time.Duration `toml:"max_age" desc:"How long events are kept (2160h are 90 days; 90d may be written too). 0s keeps them until the space is needed." min:"0s"`
	MaxBytes    Size          `toml:"max_bytes" desc:"Space the journal may take; the oldest events are removed when it is full. 0 means limited by the disk and max_age only." min:"0"`
	DedupWindow time.Duration `toml:"dedup_window" desc:"How long the ID of an event is remembered: the same ID within it is counted as a duplicate and not stored again." min:"1s" max:"720h"`
	DedupMax    int           `toml:"dedup_max" desc:"IDs remembered at most, about 200 bytes of memory each. When it is reached the oldest is forgotten before its time." min:"1000" max:"100000000"`
	LowDisk     Size          `toml:"low_disk" desc:"When less than this is free on the disk of server.data, ingest is refused with 503 until there is more again." min:"16MiB"`
}

// Ingest limits what senders may post.
type Ingest struct {
	MaxBody      Size          `toml:"max_body" desc:"Largest body of one request. More is answered with 413." min:"1KiB" max:"1GiB"`
	MaxEvent     Size          `toml:"max_event" desc:"Largest single event. More is answered with 413 and the event's index." min:"1KiB" max:"4MiB"`
	MaxBatch     int           `toml:"max_batch" desc:"Events in one request at most. More is answered with 413. A request is stored as a whole or not at all, and the journal can do that for 1000." min:"1" max:"1000"`
	MaxDepth     int           `toml:"max_depth" desc:"How deep objects and lists of an event may nest. Deeper is answered with 422." min:"4" max:"1000"`
	TimeZone     string        `toml:"time_zone" desc:"Zone of times that name none, such as the vendor's alarmTime: a name such as Asia/Tokyo, UTC, or Local for the machine's own." check:"zone"`
	ReadTimeout  time.Duration `toml:"read_timeout" desc:"How long a sender may take to send its body." min:"1s" max:"1h"`
	MaxWait      time.Duration `toml:"max_wait" desc:"How long events may expect to wait for the disk. When what waits already needs longer than that, senders get 503 at once, before their body is read, instead of waiting longer and longer. Must be shorter than store_timeout." min:"10ms" max:"5m"`
	StoreTimeout time.Duration `toml:"store_timeout" desc:"How long the journal may take to store a request. Then the sender gets 503: whether its events are stored is unknown, and sending them again with the same IDs is harmless." min:"1s" max:"10m"`
	MaxInflight  Size          `toml:"max_inflight" desc:"Memory for the bodies of all requests at work, counted as they arrive. Beyond it senders get 503 and a Retry-After. Sources that post have a quarter of it besides, one of them half of that or max_body." min:"1MiB"`
}

// Photos bounds the images that are kept.
type Photos struct {
	Dir                string        `toml:"dir" desc:"Directory of the images. Empty means photos in server.data."`
	MaxSize            Size          `toml:"max_size" desc:"Largest photo. A larger one is answered with 413; one of a source is left out, and its event is taken." min:"1KiB" max:"64MiB"`
	MaxPixels          int           `toml:"max_pixels" desc:"Most pixels of a photo, width times height. Making its small copy may take 12 bytes of memory for each. More is answered with 422." min:"10000" max:"200000000"`
	MaxBytes           Size          `toml:"max_bytes" desc:"Room that all images may take. When it is used up, the captured photos that came in longest ago are removed, then the registered ones." min:"16MiB"`
	LifetimeRegistered time.Duration `toml:"lifetime_registered" desc:"How long a registered photo (type 1) is kept since it last came in or was named by an event. 0s keeps it until its room is needed." min:"0s"`
	LifetimeCaptured   time.Duration `toml:"lifetime_captured" desc:"The same for a captured photo (type 2)." min:"0s"`
	Thumbnail          int           `toml:"thumbnail" desc:"Longer side of the small copies, in pixels." min:"16" max:"1024"`
	Fetch              bool          `toml:"fetch" desc:"Fetch the images that the events of a source name, from the REST interface of the source. false leaves them there."`
	FetchRate          float64       `toml:"fetch_rate" desc:"Images asked of one source a second at most." min:"0.01" max:"1000"`
	FetchParallel      int           `toml:"fetch_parallel" desc:"Images asked of one source at the same moment." min:"1" max:"64"`
	FetchFor           time.Duration `toml:"fetch_for" desc:"How long after an event came in its images are asked for, while the source does not answer." min:"1m" max:"2160h"`
}

// MQTT is the door for devices that publish. How long the journal may take, and
// how large an event may be, is in Ingest.
type MQTT struct {
	Listen         string        `toml:"listen" desc:"Address to listen on, host:port, by custom port 8883 with TLS and 1883 without. Empty turns MQTT off." check:"optional-address"`
	TLS            string        `toml:"tls" desc:"on needs a certificate. off sends passwords and people's names in the clear: for networks of their own, or where something in front has TLS." oneof:"on|off"`
	Cert           string        `toml:"cert" desc:"PEM file with the certificate and its chain. Empty means tls.cert, with its key."`
	Key            string        `toml:"key" desc:"PEM file with the certificate's private key. Needed exactly when cert is set."`
	MaxConnections int           `toml:"max_connections" desc:"Devices signed in at once. One more is answered that the server is unavailable (CONNACK 3). A quarter as many connections may be open that have yet to sign in; for one more that which has waited longest is cut off." min:"1" max:"1000000"`
	MaxPacket      Size          `toml:"max_packet" desc:"Largest message. A larger one is read to its end, acknowledged, and its beginning kept in the quarantine, for a device would send it for ever." min:"1KiB" max:"64MiB"`
	MaxInFlight    int           `toml:"max_in_flight" desc:"Messages of one device that are read and not yet acknowledged. When it is reached the device is read no further until some are, and TCP holds it back." min:"1" max:"1000"`
	Memory         Size          `toml:"memory" desc:"Memory for the messages of all devices at work. Who brings more is cut off without an acknowledgement and sends again. One device may have a sixteenth of it, one user half, or max_packet." min:"1MiB" max:"64GiB"`
	MaxIdle        time.Duration `toml:"max_idle" desc:"A device that has sent nothing for so long is cut off. One that asks for a keep-alive is so after one and a half times that, as the protocol has it." min:"10s" max:"24h"`
	LoginTimeout   time.Duration `toml:"login_timeout" desc:"How long a connection may take to sign in." min:"1s" max:"5m"`
	LoginRate      int           `toml:"logins_per_second" desc:"New connections per second at most. The others wait in the system's line until it is their turn." min:"1" max:"100000"`
	RefusalRate    int           `toml:"refusals_per_minute" desc:"Refused logins of one address that are answered at once. Further ones wait up to 5 s for their answer, and those that would wait longer are cut off without one. A right password is never held up." min:"1" max:"100000"`
}

// WebSocket tunes the connections of consumers.
type WebSocket struct {
	Heartbeat            time.Duration `toml:"heartbeat" desc:"Time between two heartbeat messages (code 10000) on a connection." min:"1s" max:"1h"`
	HeartbeatJitter      float64       `toml:"heartbeat_jitter" desc:"Share of heartbeat by which each interval is shortened or lengthened at random, so that connections do not beat together." min:"0" max:"0.5"`
	DeadAfter            time.Duration `toml:"dead_after" desc:"A client that has sent nothing for so long, not even a pong, is cut off. Must be longer than heartbeat." min:"2s" max:"24h"`
	StallTimeout         time.Duration `toml:"stall_timeout" desc:"A client that has taken no byte for so long while some wait for it is cut off." min:"1s" max:"1h"`
	MaxMessage           Size          `toml:"max_message" desc:"Largest message accepted from a client; clients have nothing to say, so what they send is dropped. A larger one closes the connection with 1009." min:"1KiB" max:"16MiB"`
	MaxConnections       int           `toml:"max_connections" desc:"Connections in all. Beyond it a handshake is answered with 503." min:"1" max:"1000000"`
	MaxConnectionsPerApp int           `toml:"max_connections_per_app" desc:"Connections of one app, unless the app has a limit of its own. Beyond it a handshake is refused. At most max_connections." min:"1" max:"1000000"`
	MaxRefused           int           `toml:"max_refused" desc:"Clients at once that are being told why they may not connect (20002). Beyond it a handshake is answered with 503." min:"1" max:"1000000"`
	Deflate              bool          `toml:"deflate" desc:"Compress for the clients that ask for it (RFC 7692). An event is compressed once, not once per client."`
	MaxInbound           Size          `toml:"max_inbound" desc:"Bytes per second that are read from one client; each frame counts 256 bytes more, and one second's worth may come at once. A client that says more is read later, and TCP holds it back." min:"16KiB" max:"1GiB"`
	HandshakesPerSecond  int           `toml:"handshakes_per_second" desc:"New connections per second at most; the rest gets 503 and a Retry-After, which spreads a storm of reconnects. Clients whose signature is wrong have a quarter of it to themselves. 0 means no limit." min:"0" max:"1000000"`
	CloseTimeout         time.Duration `toml:"close_timeout" desc:"How long the server waits for the answer to its close frame." min:"100ms" max:"1m"`
	AllowedOrigins       []string      `toml:"allowed_origins" desc:"Origins of web pages that may connect, such as https://door.example. Empty means any, as the vendor's server has it and old pages need: the signature in the URL is what lets a client in, and no cookie is looked at." check:"origin"`
}

// Resume tunes confirmed delivery and the replay of what was missed.
type Resume struct {
	ConfirmInterval time.Duration `toml:"confirm_interval" desc:"While events flow, a connection is asked so often, by a Ping, whether it has them. Shorter means fewer events sent twice after a broken connection, and more Pings." min:"20ms" max:"10s"`
	ConfirmTimeout  time.Duration `toml:"confirm_timeout" desc:"A connection that has not answered such a Ping for so long counts as one that never does: what it was sent is taken for received." min:"1s" max:"10m"`
	Farewell        time.Duration `toml:"farewell" desc:"When the server stops, a connection that has everything may take so long to confirm the last events, so that they are not sent again when it comes back." min:"100ms" max:"5m"`
	CommitInterval  time.Duration `toml:"commit_interval" desc:"What consumers have confirmed is written to disk so often. After a crash of the server, at most what was confirmed since is sent twice." min:"20ms" max:"10s"`
	MaxCursors      int           `toml:"max_cursors_per_app" desc:"Consumers of one app (names, addresses) that are remembered. For one more, that which was idle longest is forgotten, and begins anew when it returns. If all were here within a day, a new name is refused, and a new address is not remembered." min:"1" max:"10000"`
	Readers         int           `toml:"readers" desc:"Connections that read the journal at the same time, apps in turn; the others wait for their turn." min:"1" max:"256"`
	ReadRate        Size          `toml:"read_rate" desc:"Bytes of events per second that all connections of a door together may read from the journal, so that those who catch up leave the disk to the others. 0 means no limit." min:"0"`
	MaxInFlight     int           `toml:"max_in_flight" desc:"Events a client with ack=manual may have unacknowledged, unless it asks for fewer. When it is reached the client is sent no more until it acknowledges." min:"1" max:"65536"`
}

// SSE tunes the event stream over HTTP.
type SSE struct {
	MaxConnections int           `toml:"max_connections" desc:"Streams in all. Beyond it a request is answered with 503." min:"1" max:"100000"`
	Heartbeat      time.Duration `toml:"heartbeat" desc:"Time between two comments that keep a quiet stream alive." min:"1s" max:"10m"`
	StallTimeout   time.Duration `toml:"stall_timeout" desc:"A reader that has taken no byte for so long while some wait for it is cut off." min:"1s" max:"1h"`
}

// Hooks tunes the deliveries to subscribers' URLs.
type Hooks struct {
	Allow            []string      `toml:"allow" desc:"Private networks that events may be posted to, such as 10.1.0.0/16 or 127.0.0.0/8. An address that is not public and in none of them is never connected to, whatever its name; link-local and cloud metadata addresses never are." check:"prefix"`
	CAFile           string        `toml:"ca_file" desc:"PEM file of certificate authorities that receivers' certificates may come from, besides those of the system."`
	MaxSubscriptions int           `toml:"max_subscriptions" desc:"Subscriptions in all. One more is refused." min:"1" max:"1000000"`
	MaxInFlight      int           `toml:"max_in_flight" desc:"Requests at the same moment, of all subscriptions. When it is reached subscriptions take turns." min:"1" max:"100000"`
	MaxPerEndpoint   int           `toml:"max_per_endpoint" desc:"Requests at the same moment to one host and port." min:"1" max:"10000"`
	RetryMin         time.Duration `toml:"retry_min" desc:"How long an endpoint that failed is left alone. Each further failure doubles it." min:"10ms" max:"1h"`
	RetryMax         time.Duration `toml:"retry_max" desc:"The longest such pause. A Retry-After of the receiver counts up to an hour. An endpoint is never given up." min:"10ms" max:"24h"`
	RefusedTries     int           `toml:"refused_tries" desc:"How often an event is sent that its receiver refuses (400, 413, 422) while it takes others. Then it is set aside as a dead letter." min:"1" max:"20"`
	MaxPending       int           `toml:"max_pending" desc:"Events of one subscription that may wait for a refused or failed one while others go on. When it is reached the subscription reads no further until some are done." min:"16" max:"10000"`
	MaxDeadLetters   int           `toml:"max_dead_letters" desc:"Dead letters kept for one subscription. For one more the oldest is dropped." min:"1" max:"100000"`
	CommitInterval   time.Duration `toml:"commit_interval" desc:"How far the subscriptions have got is written to disk so often. After a crash at most what was delivered since is sent again." min:"20ms" max:"10s"`
	LogSize          Size          `toml:"log_size" desc:"Space of one subscription's delivery log on disk; the oldest attempts are removed when it is full." min:"16KiB" max:"1GiB"`
	Readers          int           `toml:"readers" desc:"Subscriptions that read the journal at the same time; the others wait for their turn." min:"1" max:"256"`
}

// Devices tunes what a device's silence means.
type Devices struct {
	Max          int           `toml:"max" desc:"Devices that are known at once, about 1.5 KiB of memory each. For one more, that which was silent longest is forgotten." min:"1" max:"1000000"`
	Learn        time.Duration `toml:"learn" desc:"How long a new device is only listened to before its silence is judged. Shorter than a week, and nobody knows its weekend." min:"24h" max:"2160h"`
	QuietAfter   time.Duration `toml:"quiet_after" desc:"A device that was heard of within this time is live; one that is silent for longer, as is usual for it, is quiet." min:"1m" max:"168h"`
	StaleAfter   time.Duration `toml:"stale_after" desc:"Silences shorter than this are never remarkable." min:"1s" max:"168h"`
	Missed       float64       `toml:"missed" desc:"A device is stale when it has missed more events, by its own rhythm over the hours of the week, than chance explains. With n here it is blamed by chance once in exp(n) weeks: 6 are 8 years. One with 1000 events a week has to miss 13 then (6 and the logarithm of 1000). A device whose people come in crowds is given up to four times as many, by what was seen of it." min:"3" max:"1000"`
	DeadAfter    time.Duration `toml:"dead_after" desc:"A device that has been stale for so long is dead." min:"1m" max:"2160h"`
	RaiseOffline bool          `toml:"raise_offline" desc:"Store the vendor's alarm 30001 (device offline) for devices that are stale, and its release when they are heard of again. Everybody who receives alarms receives it."`
	RaiseAfter   time.Duration `toml:"raise_after" desc:"How long a device must have been stale before that alarm. Within it the silence of a whole site is found out, which raises none." min:"0s" max:"168h"`
}

// Canary tunes the server's events to itself.
type Canary struct {
	Interval time.Duration `toml:"interval" desc:"Time between two. Each is appended to the journal like any event, and waited for at the server's own event stream. When none came back for three intervals, /readyz says so; 1m is a good value. Each takes a position, so an app that was away for longer than its catch_up counts them among what it has lost. 0s sends none." min:"0s" max:"24h"`
}

// Upstreams tunes how events are taken from other servers.
type Upstreams struct {
	MaxSources      int           `toml:"max_sources" desc:"Sources in all. One more is refused." min:"1" max:"10000"`
	CAFile          string        `toml:"ca_file" desc:"PEM file of certificate authorities that servers' certificates (wss, https) may come from, besides those of the system."`
	DialTimeout     time.Duration `toml:"dial_timeout" desc:"How long a connection to a server may take, with its handshake." min:"1s" max:"5m"`
	DeadAfter       time.Duration `toml:"dead_after" desc:"A server from which nothing has come for so long, not even a heartbeat, is connected to anew." min:"10s" max:"1h"`
	LoginsPerMinute int           `toml:"logins_per_minute" desc:"Handshakes with one server in any minute. Servers refuse clients that log in too often." min:"1" max:"600"`
	RetryMax        time.Duration `toml:"retry_max" desc:"The longest pause between two attempts to connect to a server that is away. One that refuses gatecast is tried every one to five minutes." min:"1s" max:"1h"`
	AskTimeout      time.Duration `toml:"ask_timeout" desc:"How long a server may take to answer a question about what it has." min:"1s" max:"10m"`
	AsksPerSecond   float64       `toml:"asks_per_second" desc:"Such questions to one server a second." min:"0.1" max:"1000"`
	PageSize        int           `toml:"page_size" desc:"Rows asked for at once. A server may give fewer." min:"2" max:"1000"`
	DeepEvery       time.Duration `toml:"deep_every" desc:"How often a server is asked for the whole last day once more, for events that it learned of long after they happened." min:"10m" max:"168h"`
	Margin          time.Duration `toml:"margin" desc:"How far what is stated to be complete lies behind the moment the server was asked: for events that a server lists a little after they happened." min:"1s" max:"1h"`
	QuarantineItems int           `toml:"quarantine_items" desc:"Messages that could not be understood and are kept. For one more the oldest is dropped." min:"1" max:"1000000"`
	QuarantineSize  Size          `toml:"quarantine_size" desc:"Space they may take on disk; likewise." min:"1MiB" max:"10GiB"`
}

// Hub tunes the live fan-out.
type Hub struct {
	Ring      int  `toml:"ring" desc:"Newest events kept in memory for all readers together. A reader that falls further behind reads the journal until it has caught up: late, never lost." min:"16" max:"10000000"`
	RingBytes Size `toml:"ring_bytes" desc:"Memory for the data of these events. When it is reached the ring holds fewer of them." min:"1MiB"`
}

// Metrics is the Prometheus page.
type Metrics struct {
	Public bool `toml:"public" desc:"Whether /metrics needs no token. false asks for one with the scope read."`
}

// Default returns the settings of a server that was told nothing.
func Default() Config {
	return Config{
		Server: Server{
			Listen: ":9000", Data: "./gatecast-data", ShutdownTimeout: 10 * time.Second, DrainSpread: 3 * time.Second,
			MaxHeader: 32 * KiB, ReadHeaderTimeout: 10 * time.Second,
		},
		TLS: TLS{MinVersion: "1.2"},
		Log: Log{Level: "info", Format: "auto"},
		Journal: Journal{
			Replicas: 1, Sync: "always", MaxAge: 90 * 24 * time.Hour, DedupWindow: time.Hour, DedupMax: 250_000, LowDisk: 256 * MiB,
		},
		Ingest: Ingest{
			MaxBody: 8 * MiB, MaxEvent: 256 * KiB, MaxBatch: 1000, MaxDepth: 32, TimeZone: "Local", ReadTimeout: 30 * time.Second, MaxWait: 2 * time.Second, StoreTimeout: 10 * time.Second, MaxInflight: 64 * MiB,
		},
		Photos: Photos{
			MaxSize: 2 * MiB, MaxPixels: 16_000_000, MaxBytes: 8 * GiB, LifetimeRegistered: 365 * 24 * time.Hour,
			LifetimeCaptured: 90 * 24 * time.Hour, Thumbnail: 160, Fetch: true, FetchRate: 10, FetchParallel: 2, FetchFor: 24 * time.Hour,
		},
		MQTT: MQTT{
			TLS: "on", MaxConnections: 5000, MaxPacket: MiB, MaxInFlight: 256, Memory: 64 * MiB, MaxIdle: time.Hour,
			LoginTimeout: 10 * time.Second, LoginRate: 500, RefusalRate: 30,
		},
		WebSocket: WebSocket{
			Heartbeat: 30 * time.Second, HeartbeatJitter: 0.1, DeadAfter: 90 * time.Second, StallTimeout: time.Minute,
			MaxMessage: 64 * KiB, MaxConnections: 20_000, MaxConnectionsPerApp: 1000, MaxRefused: 1000, Deflate: true,
			MaxInbound: MiB, HandshakesPerSecond: 5000, CloseTimeout: 3 * time.Second,
		},
		Resume: Resume{
			ConfirmInterval: time.Second, ConfirmTimeout: 30 * time.Second, Farewell: 2 * time.Second, CommitInterval: time.Second,
			MaxCursors: 1000, Readers: 4, ReadRate: 0, MaxInFlight: 1000,
		},
		SSE: SSE{MaxConnections: 1000, Heartbeat: 15 * time.Second, StallTimeout: time.Minute},
		Hooks: Hooks{
			MaxSubscriptions: 10_000, MaxInFlight: 1024, MaxPerEndpoint: 128, RetryMin: time.Second, RetryMax: 5 * time.Minute,
			RefusedTries: 5, MaxPending: 10_000, MaxDeadLetters: 1000, CommitInterval: time.Second, LogSize: MiB, Readers: 4,
		},
		Devices: Devices{
			Max: 20_000, Learn: 7 * 24 * time.Hour, QuietAfter: time.Hour, StaleAfter: 10 * time.Minute, Missed: 6,
			DeadAfter: 24 * time.Hour, RaiseAfter: 10 * time.Minute,
		},
		Sources: Upstreams{
			MaxSources: 256, DialTimeout: 20 * time.Second, DeadAfter: 90 * time.Second, LoginsPerMinute: 6, RetryMax: 30 * time.Second,
			AskTimeout: 30 * time.Second, AsksPerSecond: 5, PageSize: 200, DeepEvery: 6 * time.Hour, Margin: 5 * time.Second,
			QuarantineItems: 1000, QuarantineSize: 16 * MiB,
		},
		Hub:     Hub{Ring: 8192, RingBytes: 128 * MiB},
		Metrics: Metrics{Public: true},
	}
}
