;; The two server calls of EventSource HQ's sample chat, in Clojure without libraries:
;;
;;   POST /eshq/socket  channel           lets a reader into the channel: {"socket":"…"}
;;   POST /message      nick, msg         sends a line of the chat
;;
;; ESHQ_URL=http://localhost:8080 ESHQ_KEY=… ESHQ_SECRET=… PORT=3000 clojure server.clj

(require '[clojure.string :as string])
(import '(com.sun.net.httpserver HttpExchange HttpHandler HttpServer)
        '(java.net InetSocketAddress URI URLDecoder URLEncoder)
        '(java.net.http HttpClient HttpRequest HttpRequest$BodyPublishers HttpResponse$BodyHandlers)
        '(java.security MessageDigest)
        '(java.time Duration)
        '(java.util.concurrent Executors))

;; The only channel that this app lets its users into.
(def channel "chat")
(def max-nick 40)
(def max-message 2000)
(def max-body-bytes 65536)

(defn setting [name otherwise] (or (System/getenv name) otherwise))
(def hub (string/replace (setting "ESHQ_URL" "http://localhost:8080") #"/+$" ""))
(def client (.. (HttpClient/newBuilder) (connectTimeout (Duration/ofSeconds 5)) build))

(defn refusal [status text] (ex-info text {:status status}))

(defn sha1 [text]
  (let [digest (.digest (MessageDigest/getInstance "SHA-1") (.getBytes ^String text "UTF-8"))]
    (apply str (map #(format "%02x" %) digest))))

(defn form [fields]
  (string/join "&" (for [[name value] fields] (str name "=" (URLEncoder/encode ^String value "UTF-8")))))

(defn call-hub
  "Calls the hub with the fields and a signature of the time. Returns the JSON it answers."
  [path fields]
  (let [[key secret] [(setting "ESHQ_KEY" "") (setting "ESHQ_SECRET" "")]
        now (str (quot (System/currentTimeMillis) 1000))
        body (form (assoc fields "key" key "timestamp" now "token" (sha1 (str key ":" secret ":" now))))
        request (.. (HttpRequest/newBuilder (URI/create (str hub path)))
                    (timeout (Duration/ofSeconds 5))
                    (header "Content-Type" "application/x-www-form-urlencoded")
                    (POST (HttpRequest$BodyPublishers/ofString body))
                    build)
        answer (.send client request (HttpResponse$BodyHandlers/ofString))]
    (when (not= 200 (.statusCode answer))
      (.println System/err (str "The hub answered " (.statusCode answer) ": " (.body answer)))
      (throw (refusal 502 "The hub refused the call.")))
    (.body answer)))

(defn read-form [^HttpExchange exchange]
  (let [bytes (.readNBytes (.getRequestBody exchange) (inc max-body-bytes))
        decode #(URLDecoder/decode ^String % "UTF-8")]
    (when (> (count bytes) max-body-bytes) (throw (refusal 413 "That is too long.")))
    (into {} (for [pair (string/split (String. bytes "UTF-8") #"&") :when (string/includes? pair "=")]
               (mapv decode (string/split pair #"=" 2))))))

(defn required
  "Returns a field of the form, without white space at its ends."
  [fields name most]
  (let [value (string/trim (get fields name ""))]
    (when (empty? value) (throw (refusal 400 (str "Missing: " name))))
    (when (> (.codePointCount value 0 (count value)) most) (throw (refusal 400 (str "Too long: " name))))
    value))

(defn json-string [text]
  (str \" (string/replace text #"[\"\\\x00-\x1f]" #(format "\\u%04x" (int (first %)))) \"))

(defn open-socket
  "Lets a user into the channel. An app with accounts looks at the session here."
  [fields]
  (when (not= channel (get fields "channel")) (throw (refusal 403 "There is no such channel.")))
  (call-hub "/socket" {"channel" channel}))

(defn send-message [fields]
  (let [nick (json-string (required fields "nick" max-nick))
        msg (json-string (required fields "msg" max-message))]
    (call-hub "/event" {"channel" channel "data" (str "{\"nick\":" nick ",\"msg\":" msg "}")})))

(def actions {"POST /eshq/socket" open-socket "POST /message" send-message})

(defn answer [^HttpExchange exchange status type text]
  (let [body (.getBytes ^String text "UTF-8")]
    (doto (.getResponseHeaders exchange)
      (.set "Content-Type" (str type "; charset=utf-8"))
      (.set "X-Content-Type-Options" "nosniff")
      (.set "Cache-Control" "no-store"))
    (.sendResponseHeaders exchange status (count body))
    (with-open [out (.getResponseBody exchange)] (.write out body))))

(defn handle [^HttpExchange exchange]
  (try
    (let [action (actions (str (.getRequestMethod exchange) " " (.getPath (.getRequestURI exchange))))]
      (when-not action (throw (refusal 404 "There is nothing here.")))
      (answer exchange 200 "application/json" (action (read-form exchange))))
    (catch Exception error
      (let [status (:status (ex-data error) 502)]
        (answer exchange status "text/plain" (if (ex-data error) (.getMessage error) "The hub cannot be reached."))))))

(let [server (HttpServer/create (InetSocketAddress. "localhost" (Integer/parseInt (setting "PORT" "3000"))) 0)]
  (.createContext server "/" (reify HttpHandler (handle [_ exchange] (handle exchange))))
  (.setExecutor server (Executors/newFixedThreadPool 8))
  (.start server)
  (println (str "eshq-chat: listening on http://localhost:" (.getPort (.getAddress server)) "/")))
