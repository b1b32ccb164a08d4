// Follows a gatecast URL with the npm library "ws", exactly as its users do.
// Usage: node ws.js URL. Prints "open EXTENSIONS", "text MESSAGE", "close CODE".
// SIGTERM closes the connection.
import WebSocket from 'ws'

const say = (...words) => process.stdout.write(words.join(' ') + '\n')
const socket = new WebSocket(process.argv[2])

socket.on('open', () => {
  say('open', socket.extensions)
  socket.send('hello from ws')
})
socket.on('message', (data) => say('text', data.toString('utf8')))
socket.on('close', (code) => say('close', code))
process.once('SIGTERM', () => socket.close())
socket.on('error', (error) => process.stderr.write(error.message + '\n'))
