// Follows a gatecast event stream with the EventSource of a real browser, from
// a page that seems to come from the server itself: others may not read it.
// Usage: node eventsource.js URL. Prints "open", "event NAME ID DATA" with the
// data as a JSON string, "error STATE" (0: it will come back, 2: it has given up).
import fs from 'node:fs'
import { chromium } from 'playwright-core'

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium'
if (process.argv[2] === '--probe') process.exit(fs.existsSync(executablePath) ? 0 : 1)

// follow runs inside the page.
function follow(url) {
  const source = new EventSource(url)
  source.onopen = () => say('open')
  source.onerror = () => say(`error ${source.readyState}`)
  for (const name of ['resumed', 'gap', 'record', 'alarm', 'message']) {
    source.addEventListener(name, (event) => say(`event ${name} ${event.lastEventId} ${JSON.stringify(event.data)}`))
  }
}

const browser = await chromium.launch({
  executablePath,
  timeout: 0, // whoever started this knows how long to wait
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage',
  ],
})
process.once('SIGTERM', () => browser.close().then(() => process.exit(0)))
const page = await browser.newPage()
page.setDefaultTimeout(0)
const home = new URL('/follower.html', process.argv[2]).href
await page.route(home, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>follower</title>' }))
await page.exposeFunction('say', (line) => { process.stdout.write(line + '\n') })
await page.goto(home)
await page.evaluate(follow, process.argv[2])
