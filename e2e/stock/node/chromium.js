// Follows a gatecast URL with the WebSocket of a real browser: a page, served
// from an origin of its own, opens the socket and reports what comes in.
// Usage: node chromium.js URL. Prints "open EXTENSIONS", "text MESSAGE", "close CODE".
import fs from 'node:fs'
import http from 'node:http'
import { chromium } from 'playwright-core'

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium'
if (process.argv[2] === '--probe') process.exit(fs.existsSync(executablePath) ? 0 : 1)

// follow runs inside the page.
function follow(url) {
  const socket = new WebSocket(url)
  socket.onopen = () => {
    say('open', socket.extensions)
    socket.send('こんにちは')
  }
  socket.onmessage = (event) => say('text', event.data)
  socket.onclose = (event) => say('close', String(event.code))
}

const pages = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.end('<!doctype html><title>follower</title>')
})
await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))

const browser = await chromium.launch({
  executablePath,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage',
  ],
})
const page = await browser.newPage()
const closed = new Promise((resolve) => {
  page.exposeFunction('say', (verb, words) => {
    process.stdout.write(`${verb} ${words}\n`)
    if (verb === 'close') resolve()
  }).then(() => page.goto(`http://127.0.0.1:${pages.address().port}/`))
    .then(() => page.evaluate(follow, process.argv[2]))
})
await closed
await browser.close()
pages.close()
