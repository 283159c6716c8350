"""What stands before reasoning_node: key frames, observations, and someone who asks."""

from embodied_r_interfaces import msg as messages
from embodied_r_interfaces.action import AskSpatial as AskSpatialAction
from embodied_r_interfaces.srv import AskSpatial
from fake_models import key_frame, observation, pose_at
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient
from rclpy.duration import Duration

from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import key_frame_to_message, observation_to_message

THOUGHT = '<think>Frame 1 shows it.</think><answer>B</answer>'


def question(text='Which way to the sofa?', choices=('left', 'right'), deadline_s=5.0, **values):
    message = messages.SpatialQuestion(question=text, choices=list(choices), **values)
    message.deadline.sec, message.deadline.nanosec = int(deadline_s), round(deadline_s % 1 * 1e9)
    return message


class Robot:
    """What stands before the reasoning node: key frames, observations, and someone who asks."""

    def __init__(self, graph):
        self.graph = graph
        self.node = graph.node('robot')
        self.key_frames = self.node.create_publisher(messages.KeyFrame, 'key_frames', qos.KEY_FRAMES)
        self.observations = self.node.create_publisher(messages.Observation, 'observations', qos.observations(100))
        self.odometry = self.node.create_publisher(Odometry, 'odom', 10)
        self.answers = []
        self.node.create_subscription(messages.AnsweredQuestion, 'answers', self.answers.append, qos.ANSWERS)
        self.client = self.node.create_client(AskSpatial, 'ask', qos_profile=qos.SERVICES)
        profiles = {f'{name}_service_qos_profile': qos.SERVICES for name in ('goal', 'result', 'cancel')}
        self.actions = ActionClient(self.node, AskSpatialAction, 'ask_spatial', **profiles)

    def see(self, *indices, described=True):
        """Publish key frames, and what is written about them; whoever listens has them then."""
        for index in indices:
            self.key_frames.publish(key_frame_to_message(key_frame(index)))
            if described:
                self.observations.publish(observation_to_message(observation(index, pose=pose_at(float(index)))))
        for publisher in (self.key_frames, self.observations):
            assert publisher.wait_for_all_acked(Duration(seconds=10.0))

    def ask_async(self, **values):
        self.graph.spin_until(self.client.service_is_ready, 'the service')
        return self.client.call_async(AskSpatial.Request(question=question(**values)))

    def ask(self, **values):
        future = self.ask_async(**values)
        self.graph.spin_until(future.done, 'the answer')
        return future.result().answer

    def goal(self, **values):
        self.graph.spin_until(self.actions.server_is_ready, 'the action server')
        return AskSpatialAction.Goal(question=question(**values))

    def send_goal(self, feedback=None, **values):
        future = self.actions.send_goal_async(self.goal(**values), feedback_callback=feedback)
        self.graph.spin_until(future.done, 'the goal taken')
        return future.result()

    def result(self, goal):
        future = goal.get_result_async()
        self.graph.spin_until(future.done, 'the result')
        return future.result()
