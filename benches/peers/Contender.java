import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.locks.Lock;
import org.jgroups.JChannel;
import org.jgroups.blocks.locking.LockService;
import org.jgroups.protocols.CENTRAL_LOCK;
import org.jgroups.protocols.FRAG2;
import org.jgroups.stack.ProtocolStack;

/** A contender that is a member of a JGroups group: {@code Contender NUMBER NOTES COUNTER}; see measure.py. */
public final class Contender {
    /** Asked, entered, left, released. */
    private static final int TIMES = 4;

    public static void main(String[] arguments) throws Exception {
        // Only answers go to standard output; JGroups prints its address there.
        PrintStream answers = System.out;
        System.setOut(System.err);
        JChannel channel = new JChannel("udp.xml");
        channel.getProtocolStack()
                .insertProtocol(new CENTRAL_LOCK(), ProtocolStack.ABOVE, FRAG2.class);
        channel.connect("bench");
        Lock lock = new LockService(channel).getLock("bench");
        MappedByteBuffer counter = map(arguments[2]);
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        answers.println("ready");
        for (String order = orders.readLine(); order != null; order = orders.readLine()) {
            long[] notes = contend(lock, counter, Long.parseLong(order.split(" ")[1]));
            write(Path.of(arguments[1]), notes);
            answers.println("done");
        }
        channel.close();
        System.exit(0);
    }

    private static long[] contend(Lock lock, MappedByteBuffer counter, long end) {
        long[] notes = new long[1 << 16];
        int length = 0;
        // The same clock as CLOCK_MONOTONIC of other processes.
        long asked = System.nanoTime();
        while (asked < end) {
            lock.lock();
            long entered = System.nanoTime();
            // Not atomic on purpose: two inside at once lose an update.
            counter.putLong(0, counter.getLong(0) + 1);
            long left = System.nanoTime();
            lock.unlock();
            long released = System.nanoTime();
            if (length + TIMES > notes.length) {
                notes = Arrays.copyOf(notes, notes.length * 2);
            }
            notes[length] = asked;
            notes[length + 1] = entered;
            notes[length + 2] = left;
            notes[length + 3] = released;
            length += TIMES;
            asked = released;
        }
        return Arrays.copyOf(notes, length);
    }

    private static MappedByteBuffer map(String path) throws Exception {
        try (RandomAccessFile file = new RandomAccessFile(path, "rw")) {
            MappedByteBuffer buffer = file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, 8);
            buffer.order(ByteOrder.nativeOrder());
            return buffer;
        }
    }

    private static void write(Path path, long[] notes) throws Exception {
        ByteBuffer bytes = ByteBuffer.allocate(notes.length * Long.BYTES).order(ByteOrder.nativeOrder());
        bytes.asLongBuffer().put(notes);
        Files.write(path, bytes.array());
    }
}
