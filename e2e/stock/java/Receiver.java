import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Receives webhooks with the HTTP server of the JDK and checks them with its cryptography.
 * Usage: java Receiver.java ADDRESS. Prints "listening PORT", and then "message WEBHOOK-ID BODY" for what was
 * accepted and "refused REASON" for the rest. Each line on its standard input is the secret ("whsec_...") or the
 * public key ("whpk_...") from now on; "knows" says that it is.
 */
class Receiver {
    /** What stands before the 32 bytes of an ed25519 public key in the form that the JDK reads (RFC 8410). */
    private static final byte[] KEY_PREFIX = HexFormat.of().parseHex("302a300506032b6570032100");

    private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private volatile String secret = "";

    private void receive(HttpExchange exchange) throws IOException {
        try (exchange) {
            byte[] body = exchange.getRequestBody().readAllBytes();
            Headers headers = exchange.getRequestHeaders();
            String wrong = check(headers, body);
            if (wrong.isEmpty()) {
                say("message " + headers.getFirst("webhook-id") + " " + new String(body, StandardCharsets.UTF_8));
            } else {
                say("refused " + wrong);
            }
            exchange.sendResponseHeaders(wrong.isEmpty() ? 200 : 401, -1);
        } catch (RuntimeException e) {
            e.printStackTrace();
        }
    }

    /** Returns what is wrong with a request, or an empty string. */
    private String check(Headers headers, byte[] body) throws IOException {
        String timestamp = headers.getFirst("webhook-timestamp");
        if (Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > 300) {
            return "the timestamp is too far away";
        }
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        content.write((headers.getFirst("webhook-id") + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        content.write(body);
        for (String signature : headers.getFirst("webhook-signature").split(" ")) {
            String[] parts = signature.split(",", 2);
            if (fits(secret, parts[0], Base64.getDecoder().decode(parts[1]), content.toByteArray())) {
                return "";
            }
        }
        return "no signature fits";
    }

    private static boolean fits(String secret, String version, byte[] signature, byte[] content) {
        byte[] key = Base64.getDecoder().decode(secret.substring(secret.indexOf('_') + 1));
        try {
            if (secret.startsWith("whsec_") && version.equals("v1")) {
                Mac mac = Mac.getInstance("HmacSHA256");
                mac.init(new SecretKeySpec(key, "HmacSHA256"));
                return MessageDigest.isEqual(signature, mac.doFinal(content));
            }
            if (secret.startsWith("whpk_") && version.equals("v1a")) {
                Signature verifier = Signature.getInstance("Ed25519");
                verifier.initVerify(publicKey(key));
                verifier.update(content);
                return verifier.verify(signature);
            }
            return false;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static PublicKey publicKey(byte[] key) throws GeneralSecurityException {
        byte[] encoded = new byte[KEY_PREFIX.length + key.length];
        System.arraycopy(KEY_PREFIX, 0, encoded, 0, KEY_PREFIX.length);
        System.arraycopy(key, 0, encoded, KEY_PREFIX.length, key.length);
        return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded));
    }

    private synchronized void say(String line) {
        out.println(line);
    }

    public static void main(String[] args) throws Exception {
        Receiver receiver = new Receiver();
        HttpServer server = HttpServer.create(new InetSocketAddress(args[0], 0), 0);
        server.createContext("/", receiver::receive);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
        receiver.say("listening " + server.getAddress().getPort());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            receiver.secret = line.trim();
            receiver.say("knows");
        }
    }
}
