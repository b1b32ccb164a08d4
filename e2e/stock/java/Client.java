import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;

/**
 * Follows a gatecast URL with the WebSocket client of the JDK.
 * Usage: java Client.java URL. Prints "open EXTENSIONS", "text MESSAGE", "close CODE".
 * SIGTERM closes the connection.
 */
class Client implements WebSocket.Listener {
    private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private final CountDownLatch closed = new CountDownLatch(1);
    private final StringBuilder message = new StringBuilder();
    private volatile WebSocket socket;

    @Override
    public void onOpen(WebSocket socket) {
        this.socket = socket;
        out.println("open ");
        socket.sendText("hello from the JDK", true);
        socket.request(1);
    }

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
        message.append(part);
        if (last) {
            out.println("text " + message);
            message.setLength(0);
        }
        socket.request(1);
        return null;
    }

    @Override
    public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
        out.println("close " + code);
        closed.countDown();
        return null;
    }

    @Override
    public void onError(WebSocket socket, Throwable error) {
        error.printStackTrace();
        closed.countDown();
    }

    /** Runs at every end of the program; after a close or an error it has nothing to do. */
    private void leave() {
        if (socket == null) {
            return;
        }
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "");
        try {
            closed.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    public static void main(String[] args) throws Exception {
        Client client = new Client();
        Runtime.getRuntime().addShutdownHook(new Thread(client::leave));
        HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(URI.create(args[0]), client).join();
        client.closed.await();
        System.exit(0);
    }
}
